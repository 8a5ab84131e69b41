"""Reading an exported model, OpenVINO or ONNX: without TensorFlow, and without anything reported to anybody."""

import hashlib
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

_TELEMETRY: Final = "openvino_telemetry"


def compiled(graph: Path, *, pixels: bool = False, **properties: str) -> Any:
    """An exported model, ready for this machine's CPU.

    Args:
        graph: the `.xml` file.
        pixels: its inputs are to be given as uint8, which the graph itself turns into float32.
        properties: of the CPU plug-in; without `INFERENCE_PRECISION_HINT` it computes in float32.
    """
    openvino = quiet_openvino()
    core = openvino.Core()
    model = core.read_model(str(graph))
    if pixels:
        steps = importlib.import_module("openvino.preprocess").PrePostProcessor(model)
        for given in model.inputs:
            steps.input(given.any_name).tensor().set_element_type(openvino.Type.u8)
        model = steps.build()
    return core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", **properties})


def onnx_session(graph: Path) -> Any:
    """An `onnxruntime.InferenceSession` on one thread of this machine's CPU.

    Args:
        graph: the `.onnx` file.
    """
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def form_files(graph: Path) -> tuple[Path, ...]:
    """The files of an exported form, the graph first: OpenVINO keeps its numbers beside it, ONNX inside."""
    return (graph, graph.with_suffix(".bin")) if graph.suffix == ".xml" else (graph,)


def files_hash(graph: Path) -> str:
    """SHA-256 of all files of an exported form together."""
    total = hashlib.sha256()
    for file in form_files(graph):
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
