"""onnxruntime: for machines that OpenVINO does not run on."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.engines.base import Images, Reading, in_calls, in_order, tumor_probability
from training.exported import onnx_session


class OnnxEngine:
    """The ONNX form of a model on onnxruntime, in float32 on one thread: Spark runs one worker per core.

    Args:
        graph: of the `.onnx` file.
        batch_size: patches per call.
        read: what an answer comes to.
    """

    def __init__(self, graph: str, batch_size: int, read: Reading = tumor_probability) -> None:
        self._session = onnx_session(Path(graph))
        self._batch_size = batch_size
        self._read = read

    def predict(self, batches: Iterable[Images]) -> NDArray[np.float32]:
        """See `Engine`. Memory: one batch as float32, and of activations."""
        return in_order(map(self._answer, in_calls(batches, self._batch_size)), self._read)

    def _answer(self, call: dict[str, NDArray[np.uint8]]) -> NDArray[np.float32]:
        answers: list[NDArray[np.float32]] = self._session.run(
            None, {name: scale.astype(np.float32) for name, scale in call.items()}
        )
        return answers[0]
