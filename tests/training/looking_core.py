"""A core wired as `core_model` wires it, so small that it answers at once, and explained by Grad-CAM."""

import keras
from keras.layers import Concatenate, Conv2D, Dense, GlobalAveragePooling2D, Rescaling

from tests.training.tiny_table import WINDOW


def looking_core(classes: int = 2, scales: int = 2) -> keras.Model:
    """Towers of one convolution (`map`, 10 x 10 places), joined to one or to `classes` probabilities."""
    inputs = {f"scale_{scale}": keras.Input((WINDOW, WINDOW, 3), name=f"scale_{scale}") for scale in range(scales)}
    features = [
        _tower(f"tower_{scale}")(Rescaling(1 / 127.5, offset=-1, name=f"centered_scale_{scale}")(pixels))
        for scale, pixels in enumerate(inputs.values())
    ]
    head = Dense(1, activation="sigmoid") if classes == 2 else Dense(classes, activation="softmax")
    joined = Concatenate(name="features")(features) if scales > 1 else features[0]
    return keras.Model(inputs, head(joined), name="histospark")


def _tower(name: str) -> keras.Model:
    image = keras.Input((WINDOW, WINDOW, 3))
    values = Conv2D(4, 8, strides=8, activation="relu", name="map")(image)
    return keras.Model(image, GlobalAveragePooling2D()(values), name=name)
