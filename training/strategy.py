"""On which devices to train."""

import tensorflow as tf

from cluster.errors import UsageError


def mirrored(replicas: int, batch_size: int, xla: bool = False) -> tf.distribute.MirroredStrategy:
    """A strategy over this machine's GPUs, or over logical CPUs where it has none.

    Must come before TensorFlow is used for anything else: devices cannot be cut afterwards.

    Args:
        replicas: number of devices; 0 takes all GPUs, or one CPU.
        batch_size: rows per step over all replicas together.
        xla: whether the step is compiled by XLA, which cannot compile what replicas exchange.

    Raises:
        UsageError: there are fewer GPUs, the batch cannot be shared evenly, or XLA is asked for several replicas.
    """
    gpus = tf.config.list_physical_devices("GPU")
    count = replicas or max(len(gpus), 1)
    if gpus and count > len(gpus):
        raise UsageError(f"--replicas {count}: this machine has {len(gpus)} GPUs; ask for at most as many")
    if xla and count > 1:
        raise UsageError(
            f"training.xla compiles the step of one replica, and {count} were asked for: give --replicas 1, or set "
            "training.xla to false"
        )
    if batch_size % count:
        raise UsageError(
            f"training.batch_size {batch_size} cannot be shared evenly by {count} replicas: make it a multiple"
        )
    if gpus:
        return tf.distribute.MirroredStrategy([f"/gpu:{index}" for index in range(count)])
    _cut_cpu(count)
    return tf.distribute.MirroredStrategy([f"/cpu:{index}" for index in range(count)])


def _cut_cpu(count: int) -> None:
    if count == 1:
        return
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError as error:
        raise UsageError(
            f"--replicas {count}: TensorFlow is running already and its CPU cannot be cut; train in a fresh process"
        ) from error
