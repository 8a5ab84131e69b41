"""What computes probabilities: a model, loaded once per worker process."""

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.exported import compiled


class Engine(Protocol):
    """Turns windows into probabilities."""

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Judge some patches.

        Args:
            images: per scale, finest first, (n, window, window, 3) uint8 RGB.

        Returns:
            (n,) float32, the probability of tumor; of a model of several classes, that of any class but normal.
        """


class KerasEngine:
    """Keras on TensorFlow, one thread: Spark runs one worker per core.

    Args:
        path: of a `.keras` file; loaded in safe mode, so nothing in it is executed.
        batch_size: patches per call; a shorter batch is filled up, so that the graph is traced once.
    """

    def __init__(self, path: str, batch_size: int) -> None:
        import tensorflow as tf  # noqa: PLC0415 - only workers that predict pay for it
        from keras.saving import load_model  # noqa: PLC0415

        if not tf.config.list_physical_devices("GPU"):
            with suppress(RuntimeError):  # a process where TensorFlow already runs keeps its threads
                tf.config.threading.set_intra_op_parallelism_threads(1)
                tf.config.threading.set_inter_op_parallelism_threads(1)
        self._model = load_model(path, compile=False, safe_mode=True)
        self._batch_size = batch_size

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """See `Engine`. Memory: one batch of activations."""
        count = len(images[0])
        parts = []
        for start in range(0, count, self._batch_size):
            batch = [scale[start : start + self._batch_size] for scale in images]
            missing = self._batch_size - len(batch[0])
            filled = [np.pad(scale, ((0, missing), (0, 0), (0, 0), (0, 0))) for scale in batch]
            named = {f"scale_{k}": scale for k, scale in enumerate(filled)}
            parts.append(np.asarray(self._model.predict_on_batch(named))[: len(batch[0])])
        return tumor_probability(np.concatenate(parts).astype(np.float32))


class OpenVinoEngine:
    """The exported form of a model on OpenVINO, in float32 and one thread: Spark runs one worker per core.

    Args:
        graph: of the `.xml` file, its numbers beside it.
        batch_size: patches per call.
    """

    def __init__(self, graph: str, batch_size: int) -> None:
        self._model = compiled(Path(graph), INFERENCE_NUM_THREADS="1")
        self._batch_size = batch_size

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """See `Engine`. Memory: one batch of activations."""
        parts = []
        for start in range(0, len(images[0]), self._batch_size):
            batch = [scale[start : start + self._batch_size] for scale in images]
            named = {f"scale_{k}": scale.astype(np.float32) for k, scale in enumerate(batch)}
            parts.append(self._model(named)[0])
        return tumor_probability(np.concatenate(parts))


def tumor_probability(answers: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a model's answers say of tumor.

    Args:
        answers: (n, 1), the probability of label 1; or (n, classes), label 0 is normal.

    Returns:
        (n,) float32.
    """
    return answers[:, 0] if answers.shape[1] == 1 else 1 - answers[:, 0]


@lru_cache(maxsize=1)
def engine(path: str, batch_size: int) -> Engine:
    """The engine of this worker process; the model is read at the first call, and one is kept in memory.

    Args:
        path: of an exported graph (`.xml`) or of a `.keras` file.
        batch_size: patches per call.
    """
    return (OpenVinoEngine if path.endswith(".xml") else KerasEngine)(path, batch_size)
