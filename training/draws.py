"""Random draws of a layer: reproducible, and different on every replica of a distribution strategy."""

from typing import Any, Final

import keras
from keras import ops

_REPLICA_STEP: Final = 0x5BD1E995
"""Odd, so that no two replicas share a seed; large, so that they do not meet those of neighboring recipes."""


class ReplicaDraws(keras.random.SeedGenerator):
    """A seed generator whose draws depend on the replica: the first (or only) one draws as without this class.

    Every replica counts its draws alike. Keras' own generator, which knows of no replicas, thus draws the same
    for the share of each of them.
    """

    def next(self, ordered: bool = True) -> Any:
        """The seed of the next draw: (2,) integers, of which the first one tells the replica."""
        seed = super().next(ordered)
        replica = ops.cast(ops.stack([_replica(), 0]), seed.dtype)
        return seed + replica * _REPLICA_STEP


def _replica() -> Any:
    if keras.backend.backend() != "tensorflow":
        return 0  # there one program draws for the whole batch
    import tensorflow as tf  # noqa: PLC0415  not there with other backends

    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group
