"""OpenVINO: the fastest engine on CPUs, in float32 or bfloat16."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from cluster.errors import JobError
from inference.engines.base import Images, Reading, in_calls, in_order, tumor_probability
from training.exported import compiled, quiet_openvino

_HINTS: Final = {"float32": "f32", "bfloat16": "bf16"}
_ANY_CORE: Final = {"INFERENCE_NUM_THREADS": "1", "ENABLE_CPU_PINNING": "NO"}  # else all workers share the first core

_AT_ONCE: Final = 32  # patches; the activations of 128 no longer fit the caches, which takes 3 % longer


class OpenVinoEngine:
    """The exported form of a model on OpenVINO, on one thread: Spark runs one worker per core.

    Args:
        graph: of the `.xml` file, its numbers beside it.
        batch_size: most patches per call.
        precision: of its arithmetic.
        read: what an answer comes to.

    Raises:
        JobError: this CPU does not compute in that precision.
    """

    def __init__(
        self,
        graph: str,
        batch_size: int,
        precision: Literal["float32", "bfloat16"] = "float32",
        read: Reading = tumor_probability,
    ) -> None:
        if precision == "bfloat16" and not computes_bfloat16():
            raise JobError(
                "this worker's CPU does not compute bfloat16, in which the run began; take workers that do, or run "
                "with --set inference.precision=float32, which does all slides anew"
            )
        self._model = compiled(Path(graph), pixels=True, INFERENCE_PRECISION_HINT=_HINTS[precision], **_ANY_CORE)
        self._batch_size = min(batch_size, _AT_ONCE)
        self._read = read

    def predict(self, batches: Iterable[Images]) -> NDArray[np.float32]:
        """See `Engine`. Memory: one batch of activations."""
        return in_order((np.array(self._model(call)[0]) for call in in_calls(batches, self._batch_size)), self._read)


def computes_bfloat16() -> bool:
    """Whether this machine's CPU has instructions for bfloat16 that OpenVINO uses."""
    return "BF16" in quiet_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
