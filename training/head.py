"""The head of the models: from what the towers tell of a patch to one probability per class."""

from typing import Any, Final

import keras

from preprocessing.recipe import Training

OUTPUT: Final = "tumor_probability"
"""The last layer where there are two classes."""
OUTPUT_OF_MORE: Final = "class_probabilities"
"""The last layer where there are more."""
HEAD_LAYERS: Final = ("hidden_", "last_")
"""How the names of the layers begin that stand between the towers and the last layer."""


def head(features: Any, training: Training, classes: int) -> Any:
    """What follows the towers, in the manner of fastai v1: hidden layers, if any, and the last one; all in float32.

    Args:
        features: (b, c), of all towers.
        training: hidden layers, dropout, and the settings of batch norm.
        classes: at least 2.

    Returns:
        (b, 1) probability of label 1 where there are two classes, else (b, classes).
    """
    for number, units in enumerate(training.hidden):
        name = f"hidden_{number}"
        features = _dropped(_normalized(features, training, f"{name}_norm"), training.dropout / 2, f"{name}_dropout")
        features = keras.layers.Dense(units, activation="relu", dtype="float32", name=name)(features)
    if training.hidden:
        features = _normalized(features, training, "last_norm")
    features = _dropped(features, training.dropout, "last_dropout")
    if classes == 2:
        return keras.layers.Dense(1, activation="sigmoid", dtype="float32", name=OUTPUT)(features)
    return keras.layers.Dense(classes, activation="softmax", dtype="float32", name=OUTPUT_OF_MORE)(features)


def _dropped(values: Any, share: float, name: str) -> Any:
    return keras.layers.Dropout(share, dtype="float32", name=name)(values) if share else values


def _normalized(values: Any, training: Training, name: str) -> Any:
    layer = keras.layers.BatchNormalization(dtype="float32", name=name)
    set_statistics(layer, training)
    return layer(values)


def set_statistics(layer: keras.layers.BatchNormalization, training: Training) -> None:
    """Give a batch norm the recipe's settings."""
    layer.momentum = training.batch_norm_momentum
    layer.synchronized = training.synchronize_batch_norm
