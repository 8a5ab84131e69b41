"""A core as `core_model` builds them, with a backbone of five layers that trains in no time."""

import keras
from keras.layers import BatchNormalization, Conv2D, Dense, GlobalAveragePooling2D

from tests.training.tiny_table import WINDOW
from training.head import OUTPUT, OUTPUT_OF_MORE
from training.precision import Precision, arithmetic

LAYERS = ["input", "c1", "n1", "c2", "n2", "pool"]


def tiny_core(
    towers: int = 2,
    window: int = WINDOW,
    classes: int = 2,
    precision: Precision = "float32",
    synchronized: bool = False,
) -> keras.Model:
    """Towers with the layers `LAYERS`, all trainable, joined to one probability, or to one per class."""
    inputs = {f"scale_{scale}": keras.Input((window, window, 3), name=f"scale_{scale}") for scale in range(towers)}
    scaled = [
        keras.layers.Rescaling(1 / 127.5, offset=-1, name=f"centered_{name}")(pixels) for name, pixels in inputs.items()
    ]
    with arithmetic(precision):
        features = [_tower(f"tower_{scale}", window, synchronized)(pixels) for scale, pixels in enumerate(scaled)]
    joined = keras.layers.Concatenate(name="features")(features) if towers > 1 else features[0]
    head = (
        Dense(1, activation="sigmoid", name=OUTPUT)
        if classes == 2
        else Dense(classes, activation="softmax", name=OUTPUT_OF_MORE)
    )
    return keras.Model(inputs, head(joined), name="histospark")


def _tower(name: str, window: int, synchronized: bool) -> keras.Model:
    image = keras.Input((window, window, 3), name="input")
    values: keras.KerasTensor = image
    for number in (1, 2):
        values = Conv2D(4, 5, strides=4, activation="relu", name=f"c{number}")(values)
        values = BatchNormalization(momentum=0.5, synchronized=synchronized, name=f"n{number}")(values)
    return keras.Model(image, GlobalAveragePooling2D(name="pool")(values), name=name)
