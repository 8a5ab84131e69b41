"""The models: one tower per scale, joined to one probability per class (Liu et al. 2017)."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import keras

from cluster.errors import UsageError
from preprocessing.recipe import Recipe, Training
from training.augmentation import PatchAugmentation
from training.backbones import BACKBONES, TOWER, Backbone
from training.bilinear import scaled_to
from training.first_weights import fill
from training.head import head, set_statistics
from training.precision import arithmetic
from training.residual_blocks import BLOCKS, pooled, residual_blocks
from training.weights import local_weights

CROPPED: Final = "cropped_"
"""How the names of the layers begin that cut out what towers look at; the name of the input follows."""


def core_model(scales: int, window: int, training: Training, classes: int = 2) -> keras.Model:
    """The model that is saved and used: parts of Keras alone, so that it loads anywhere in safe mode.

    Args:
        scales: number of magnifications.
        window: side of a patch, pixels.
        training: backbone, what it looks at, whether the scales share it, its first weights, its precision, and its
            batch norm.
        classes: number of classes, at least 2.

    Returns:
        A model from `{"scale_0": (b, window, window, 3), …}`, values 0 to 255, to float32: of two classes `(b, 1)`,
        the probability of label 1 by a sigmoid; of more `(b, classes)` by a softmax, label 0 first. Its towers
        are the layers `tower_0`, … with weights of their own; towers that are shared are the one layer `tower_0`.
        Residual blocks are a layer `blocks_0`, … after each tower.
        Every layer is trainable; what a stage freezes is the business of `stages.set_trainable`. All weights are
        float32; the scaling of pixels and the head compute in float32, too.

    Raises:
        UsageError: the window is too small, settings contradict each other, or the weights are missing or of another
            network.
    """
    backbone = BACKBONES[training.backbone]
    sides = _seen(backbone, window, training)
    scaled = _scaling(backbone, training)
    inputs = {f"scale_{scale}": keras.Input((window, window, 3), name=f"scale_{scale}") for scale in range(scales)}
    names = [f"{TOWER}{scale}" for scale in range(1 if training.share_towers else scales)]
    with local_weights(training.weights, backbone.imagenet) as weights:
        with arithmetic(training.precision):
            towers = [_tower(name, backbone, sides, training) for name in names]
            blocks = [
                residual_blocks(tower, training, f"{BLOCKS}{number}")
                for number, tower in enumerate(towers)
                if training.blocks
            ]
        if weights is not None:
            fill(towers, weights, training.weights, backbone)
    for layer in [layer for tower in towers for layer in tower.layers]:
        if isinstance(layer, keras.layers.BatchNormalization):
            set_statistics(layer, training)
    features = []
    for scale, (name, pixels) in enumerate(inputs.items()):
        looked_at = scaled(scaled_to(_cropped(pixels, training, name), sides[0]), f"centered_{name}")
        told = towers[scale % len(towers)](looked_at)
        features.append(blocks[scale % len(blocks)](told) if blocks else told)
    joined = keras.layers.Concatenate(dtype="float32", name="features")(features) if scales > 1 else features[0]
    return keras.Model(inputs, head(joined, training, classes), name="histospark")


def number_of_classes(core: keras.Model) -> int:
    """How many classes a core tells apart."""
    return max(int(core.output.shape[-1]), 2)


def training_model(core: keras.Model, recipe: Recipe) -> keras.Model:
    """The model that is trained: augmentation before the core, whose weights it shares.

    Args:
        core: see `core_model`.
        recipe: bounds of the augmentation, the seed, and the margin that is stored around a patch's window.

    Returns:
        A model of stored patches, of which the core sees the window.
    """
    window = next(iter(core.input.values())).shape[1]
    side = window + 2 * recipe.tiling.margin
    inputs = {name: keras.Input((side, side, 3), name=name) for name in core.input}
    augmentation = PatchAugmentation(
        **recipe.training.augmentation.model_dump(),
        window=window,
        ratios=recipe.tiling.pixel_ratios,
        seed=recipe.seed,
        name="augmentation",
    )
    changed = augmentation(list(inputs.values()))
    return keras.Model(inputs, core(dict(zip(inputs, changed, strict=True))), name="training")


def _seen(backbone: Backbone, window: int, training: Training) -> tuple[int, int]:
    """Height and width of what a tower sees, pixels."""
    crop = training.input_crop or (window, window)
    if max(crop) > window:
        raise UsageError(
            f"training.input_crop ({crop[0]} x {crop[1]} px) is larger than tiling.window ({window} px): lower it, or "
            "tile again with a larger window"
        )
    if training.input_side and crop[0] != crop[1]:
        raise UsageError(
            f"training.input_side scales squares, and training.input_crop is {crop[0]} x {crop[1]} px: leave one of "
            "the two out, or make it a square"
        )
    sides = (training.input_side, training.input_side) if training.input_side else crop
    _check_side(backbone, min(sides), training)
    return sides


def _check_side(backbone: Backbone, side: int, training: Training) -> None:
    if side >= backbone.smallest_window:
        return
    others = [name for name, other in BACKBONES.items() if other.smallest_window <= side]
    choice = f", or set training.backbone to {' or '.join(others)}" if others else ""
    key, remedy = "tiling.window", "tile again with a larger window"
    if training.input_side or training.input_crop:
        key, remedy = f"training.{'input_side' if training.input_side else 'input_crop'}", "raise it"
    raise UsageError(
        f"{key} is {side} px, {backbone.title} needs at least {backbone.smallest_window}: {remedy}{choice}"
    )


def _scaling(backbone: Backbone, training: Training) -> Callable[[Any, str], Any]:
    if training.mean_color is None:
        return backbone.scaled
    if not backbone.takes_off_mean:
        raise UsageError(
            f"training.mean_color: {backbone.title} sees values from -1 to 1, whatever the mean; leave it out"
        )
    return partial(backbone.scaled, mean=training.mean_color)


def _cropped(pixels: Any, training: Training, name: str) -> Any:
    """The middle of a patch; where it cannot be the very middle, half a pixel to the upper left."""
    if training.input_crop is None:
        return pixels
    spare = [given - kept for given, kept in zip(pixels.shape[1:3], training.input_crop, strict=True)]
    edges = [(both // 2, both - both // 2) for both in spare]
    return keras.layers.Cropping2D(edges, dtype="float32", name=f"{CROPPED}{name}")(pixels)


def _tower(name: str, backbone: Backbone, sides: tuple[int, int], training: Training) -> keras.Model:
    build = partial(backbone.build, input_shape=(*sides, 3), name=name)
    if training.blocks:
        return build(pooling=None)
    if training.pooling == "average":
        return build(pooling="avg")
    tower = build(pooling=None)
    return keras.Model(tower.input, pooled(tower.output, training.pooling), name=name)
