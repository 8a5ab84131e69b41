"""The GPUs that Spark gave a task, by its own resource scheduling."""

import os
from typing import Final

from pyspark import TaskContext

RESOURCE: Final = "gpu"
"""Name of the resource in Spark's settings: spark.task.resource.gpu.amount."""


def gpus_of_task() -> tuple[str, ...]:
    """Addresses of the GPUs of the Spark task that runs now; none outside of one, or where Spark schedules none."""
    context = TaskContext.get()
    given = None if context is None else context.resources().get(RESOURCE)
    return () if given is None else tuple(given.addresses)


def show_gpus_of_task() -> None:
    """Let CUDA see the GPUs of this task and no other; to be called before TensorFlow is loaded.

    Where Spark schedules no GPUs nothing is changed.
    """
    addresses = gpus_of_task()
    if addresses:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(addresses)
