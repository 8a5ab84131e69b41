"""Arithmetic in 16 bits, the scale of the loss that float16 needs, and a twin of the model without either."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

import keras
import tensorflow as tf
from keras import ops

from cluster.errors import JobError

Precision = Literal["float32", "bfloat16", "float16"]

_SMALLEST_SCALE: Final = 1.0


@contextmanager
def arithmetic(precision: Precision) -> Iterator[None]:
    """Layers that are made in this block compute in this precision; their weights are float32 always.

    Keras knows one policy for the whole process; the one from before is back when the block ends.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def plain_twin(core: keras.Model) -> keras.Model:
    """A model of the same architecture and names in float32, without synchronized batch norm: what is kept.

    Every layer of it is trainable, whatever the stage froze. Its weights are a copy; bring them up to date with
    `twin.set_weights(core.get_weights())`. Memory: the weights a second time.

    Args:
        core: of built-in layers.
    """
    twin = keras.models.clone_model(core, clone_function=_plain, recursive=True)
    twin.trainable = True
    twin.set_weights(core.get_weights())
    return twin


def _plain(layer: keras.layers.Layer) -> keras.layers.Layer:
    config = layer.get_config()  # a bare operation, such as an addition, has neither of the two
    plain = {key: value for key, value in {"dtype": "float32", "synchronized": False}.items() if key in config}
    return type(layer).from_config(config | plain)


class LossScale(keras.optimizers.LossScaleOptimizer):
    """Keras's dynamic loss scaling (Micikevicius et al. 2018, arXiv 1710.03740), right for several replicas, too.

    Gradients too large for float16 halve the scale and skip the step: weights, moments and the count of steps, which
    the rate follows, stay as they are. Keras looks at the gradients of the first replica alone, though they are
    summed later, so that an overflow on another one would reach the weights of all.
    """

    @property
    def moving_momentum(self) -> keras.Variable:
        """The momentum of the optimizer inside, where it moves."""
        return self.inner_optimizer.moving_momentum

    def check_finite(self, grads: Any) -> Any:
        """Whether the gradients of all replicas are numbers; in the context of a replica."""
        wrong = ops.cast(ops.logical_not(super().check_finite(grads)), "float32")
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, wrong) == 0


class StopAtVanishedScale(keras.callbacks.Callback):
    """Ends a training in float16 whose every step is skipped, as the loss alone would never tell."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Look at the scale, where there is one."""
        optimizer = self.model.optimizer
        if isinstance(optimizer, LossScale) and float(ops.convert_to_numpy(optimizer.dynamic_scale)) < _SMALLEST_SCALE:
            raise JobError(
                f"no gradient fits into float16 any more (batch {batch + 1}): lower the rate, or set "
                "training.precision to bfloat16; the best model so far stays in the output folder"
            )
