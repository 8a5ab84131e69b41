"""A small residual network, the second one of deep-histopath's mitoses (CODAIT, `resnet_custom`).

Taken from there: a 3x3 convolution to 16 channels with stride 2; three stages of three bottleneck blocks with 32, 64
and 128 channels, activation first (He et al. 2016, arXiv 1603.05027), each of 1x1, 3x3 and 1x1 convolutions through a
quarter of the channels, of the stage before in the first block of a stage; stride 2 in the second and third stage;
batch norm and ReLU at the end; He's normal weights; batch norm with an epsilon of 1e-4.

Different here: convolutions before a batch norm have no bias, which it would take off; a shortcut is projected only
where the channels change; the pooling is that of the recipe (deep-histopath's 8x8 average of the last map of 64 px is
`average`); the momentum of batch norm is that of the recipe (there 0.9).
"""

from itertools import pairwise
from typing import Any, Final

import keras
from keras import layers

_CHANNELS: Final = (16, 32, 64, 128)
_BLOCKS: Final = 3
_EPSILON: Final = 1e-4


def small_resnet(input_shape: tuple[int, int, int], name: str, pooling: str | None = None) -> keras.Model:
    """The network without its last layer, called as those of keras.applications.

    Args:
        input_shape: height, width and channels; values -1 to 1.
        name: of the model.
        pooling: `avg` for the mean of the last map, which has an eighth of the side; None for the map itself.
    """
    image = keras.Input(input_shape)
    values = _convolved(image, _CHANNELS[0], 3, 2, "first")
    for stage, (before, channels) in enumerate(pairwise(_CHANNELS)):
        for block in range(_BLOCKS):
            narrow = (before if block == 0 else channels) // 4
            stride = 2 if stage > 0 and block == 0 else 1
            values = _block(values, narrow, channels, stride, f"stage_{stage}_block_{block}")
    values = _activated(values, "end")
    if pooling == "avg":
        values = layers.GlobalAveragePooling2D(name="mean_of_map")(values)
    return keras.Model(image, values, name=name)


def _block(given: Any, narrow: int, channels: int, stride: int, name: str) -> Any:
    values = _convolved(_activated(given, f"{name}_0"), narrow, 1, stride, f"{name}_0")
    values = _convolved(_activated(values, f"{name}_1"), narrow, 3, 1, f"{name}_1")
    values = _convolved(_activated(values, f"{name}_2"), channels, 1, 1, f"{name}_2", bias=True)
    if given.shape[-1] != channels:
        given = _convolved(given, channels, 1, stride, f"{name}_shortcut", bias=True)
    return layers.Add(name=name)([values, given])


def _activated(values: Any, name: str) -> Any:
    normalized = layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_norm")(values)
    return layers.ReLU(name=f"{name}_relu")(normalized)


def _convolved(values: Any, channels: int, side: int, stride: int, name: str, bias: bool = False) -> Any:
    return layers.Conv2D(
        channels,
        side,
        strides=stride,
        padding="same",
        use_bias=bias,
        kernel_initializer="he_normal",
        name=f"{name}_convolution",
    )(values)
