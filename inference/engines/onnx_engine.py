"""onnxruntime: for machines that OpenVINO does not run on."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.engines.base import Images, in_batches, tumor_probability
from training.exported import onnx_session


class OnnxEngine:
    """The ONNX form of a model on onnxruntime, in float32 on one thread: Spark runs one worker per core.

    Args:
        graph: of the `.onnx` file.
        batch_size: patches per call.
    """

    def __init__(self, graph: str, batch_size: int) -> None:
        self._session = onnx_session(Path(graph))
        self._batch_size = batch_size

    def predict(self, images: Images) -> NDArray[np.float32]:
        """See `Engine`. Memory: one batch as float32, and of activations."""
        parts = []
        for batch in in_batches(images, self._batch_size):
            given = {name: scale.astype(np.float32) for name, scale in batch.items()}
            parts.append(self._session.run(None, given)[0])
        return tumor_probability(np.concatenate(parts))
