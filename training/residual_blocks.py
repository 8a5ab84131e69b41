"""What may stand between a tower's last map and the last layer: residual blocks, and the pooling of the map.

The blocks turn a network of patches into one of whole images (Shen et al. 2019, arXiv 1711.05775). Taken from their
program (`bottleneck_org`): convolutions of 1x1, 3x3 and 1x1, each with batch norm, ReLU after all but the last one;
ReLU after the sum; He's normal weights. The first bottleneck of a block halves the map: stride 2 in its first
convolution and in its shortcut, a 1x1 convolution with batch norm. The further ones have a plain shortcut. Their
`[512-512-1024]x2` is two blocks of two bottlenecks.

Different here: convolutions have no bias, which batch norm would take off.
"""

from typing import Any, Final

import keras
from keras import layers

from preprocessing.recipe import Training
from training.head import set_statistics

BLOCKS: Final = "blocks_"
"""How the names of these models begin; the number of their tower follows."""


def residual_blocks(tower: keras.Model, training: Training, name: str) -> keras.Model:
    """The blocks that follow a tower, and their pooling.

    Args:
        tower: its output is a map, (b, height, width, c).
        training: the blocks, pooling, and the settings of batch norm.
        name: of the model.

    Returns:
        A model from that map to (b, c).
    """
    given = keras.Input(tower.output.shape[1:])
    values = given
    for number, block in enumerate(training.blocks):
        for repeat in range(block.repeats):
            values = _bottleneck(values, block.channels, repeat == 0, training, f"block_{number}_{repeat}")
    return keras.Model(given, pooled(values, training.pooling), name=name)


def pooled(last: Any, pooling: str) -> Any:
    """What is told of a map, (b, height, width, c).

    Args:
        last: the map.
        pooling: see `training.pooling`.

    Returns:
        (b, c), (b, 2 * c) of `average_and_maximum`, or (b, height * width * c) of `flatten`.
    """
    if pooling == "flatten":
        return layers.Flatten(name="flat_map")(last)
    mean = layers.GlobalAveragePooling2D(name="mean_of_map")(last)
    if pooling == "average":
        return mean
    largest = layers.GlobalMaxPooling2D(name="maximum_of_map")(last)
    return layers.Concatenate(name="both_of_map")([mean, largest])


def _bottleneck(given: Any, channels: tuple[int, int, int], halves: bool, training: Training, name: str) -> Any:
    stride, values = 2 if halves else 1, given
    for number, (side, step) in enumerate([(1, stride), (3, 1), (1, 1)]):
        values = _normalized(values, channels[number], side, step, training, f"{name}_{number}")
        if number < 2:
            values = layers.ReLU(name=f"{name}_{number}_relu")(values)
    shortcut = _normalized(given, channels[-1], 1, stride, training, f"{name}_shortcut") if halves else given
    return layers.ReLU(name=name)(layers.Add(name=f"{name}_sum")([values, shortcut]))


def _normalized(values: Any, channels: int, side: int, stride: int, training: Training, name: str) -> Any:
    convolution = layers.Conv2D(
        channels,
        side,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_convolution",
    )
    norm = layers.BatchNormalization(name=f"{name}_norm")
    set_statistics(norm, training)
    return norm(convolution(values))
