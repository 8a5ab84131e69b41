"""Reading an exported model: OpenVINO, without TensorFlow or Keras, and without anything reported to anybody."""

import hashlib
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

_TELEMETRY: Final = "openvino_telemetry"


def compiled(graph: Path, **properties: str) -> Any:
    """An exported model, ready for this machine's CPU.

    Args:
        graph: the `.xml` file.
        properties: of the CPU plug-in; without `INFERENCE_PRECISION_HINT` it computes in float32.
    """
    return quiet_openvino().Core().compile_model(str(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32", **properties})


def files_hash(graph: Path) -> str:
    """SHA-256 of graph and numbers together."""
    total = hashlib.sha256()
    for file in (graph, graph.with_suffix(".bin")):
        with file.open("rb") as stream:
            while part := stream.read(1 << 20):
                total.update(part)
    return total.hexdigest()


def quiet_openvino() -> ModuleType:
    """OpenVINO, whose converter cannot report its use over the internet: a hospital has not agreed to that.

    The converter does without the reporting package where that cannot be imported. `reports` tells whether it was
    imported before.
    """
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    modules.setdefault(_TELEMETRY, None)  # Python's mark of a module that is not to be imported
    return importlib.import_module("openvino")


def reports() -> bool:
    """Whether OpenVINO's converter would report its use from this process."""
    return sys.modules.get(_TELEMETRY) is not None
