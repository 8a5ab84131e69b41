"""A core as `core_model` builds them, with a backbone of five layers that trains in no time."""

import keras
from keras.layers import BatchNormalization, Conv2D, Dense, GlobalAveragePooling2D

from tests.training.tiny_table import WINDOW
from training.models import OUTPUT

LAYERS = ["input", "c1", "n1", "c2", "n2", "pool"]


def tiny_core(towers: int = 2, window: int = WINDOW) -> keras.Model:
    """Towers with the layers `LAYERS`, all trainable, joined to one probability."""
    inputs = {f"scale_{scale}": keras.Input((window, window, 3), name=f"scale_{scale}") for scale in range(towers)}
    features = [
        _tower(f"tower_{scale}", window)(keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels))
        for scale, pixels in enumerate(inputs.values())
    ]
    joined = keras.layers.Concatenate(name="features")(features) if towers > 1 else features[0]
    return keras.Model(inputs, Dense(1, activation="sigmoid", name=OUTPUT)(joined), name="histospark")


def _tower(name: str, window: int) -> keras.Model:
    image = keras.Input((window, window, 3), name="input")
    values = BatchNormalization(momentum=0.5, name="n1")(Conv2D(4, 5, strides=4, activation="relu", name="c1")(image))
    values = BatchNormalization(momentum=0.5, name="n2")(Conv2D(4, 5, strides=4, activation="relu", name="c2")(values))
    return keras.Model(image, GlobalAveragePooling2D(name="pool")(values), name=name)
