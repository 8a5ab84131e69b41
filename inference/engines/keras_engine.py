"""Keras on TensorFlow: the engine of GPUs, and of models without an exported form."""

import os
from collections.abc import Iterable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from inference.engines.base import Images, Reading, in_calls, in_order, tumor_probability
from inference.engines.task_gpu import show_gpus_of_task


class KerasEngine:
    """Keras on TensorFlow: on the GPUs that Spark gave the task, else on one thread, as Spark runs a worker a core.

    Args:
        path: of a `.keras` file; loaded in safe mode, so nothing in it is executed.
        batch_size: patches per call; a shorter batch is filled up, so that the graph is traced once.
        read: what an answer comes to.
    """

    def __init__(self, path: str, batch_size: int, read: Reading = tumor_probability) -> None:
        show_gpus_of_task()
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several workers may share a GPU
        import tensorflow as tf  # noqa: PLC0415 - only workers that predict with it pay for it
        from keras.saving import load_model  # noqa: PLC0415

        if not tf.config.list_physical_devices("GPU"):
            with suppress(RuntimeError):  # a process where TensorFlow already runs keeps its threads
                tf.config.threading.set_intra_op_parallelism_threads(1)
                tf.config.threading.set_inter_op_parallelism_threads(1)
        self._model = load_model(path, compile=False, safe_mode=True)
        self._batch_size = batch_size
        self._read = read

    def predict(self, batches: Iterable[Images]) -> NDArray[np.float32]:
        """See `Engine`. Memory: one batch of activations."""
        return in_order(map(self._answer, in_calls(batches, self._batch_size)), self._read)

    def _answer(self, call: dict[str, NDArray[np.uint8]]) -> NDArray[np.float32]:
        count = len(call["scale_0"])
        missing = ((0, self._batch_size - count), (0, 0), (0, 0), (0, 0))
        filled = {name: np.pad(scale, missing) if count < self._batch_size else scale for name, scale in call.items()}
        return np.asarray(self._model.predict_on_batch(filled))[:count].astype(np.float32)
