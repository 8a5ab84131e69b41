"""The models: one tower per scale, joined to one probability per class (Liu et al. 2017), and what towers may be."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import keras

from cluster.errors import UsageError
from preprocessing.recipe import Recipe, Training
from training.augmentation import PatchAugmentation
from training.bilinear import scaled_to
from training.head import head, set_statistics
from training.precision import arithmetic
from training.weights import ImageNetFile, local_weights


@dataclass(frozen=True)
class Backbone:
    """A network of keras.applications, without its top.

    Attributes:
        title: for people.
        build: as in keras.applications; pixels enter it scaled.
        scaled: from pixels (0 to 255) to what the network was made for, by built-in layers of the given name.
        smallest_window: side of the smallest patch that reaches its end, pixels.
        imagenet: its first weights.
    """

    title: str
    build: Callable[..., keras.Model]
    scaled: Callable[[Any, str], Any]
    smallest_window: int
    imagenet: ImageNetFile


def _from_minus_one_to_one(pixels: Any, name: str) -> Any:
    return keras.layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name=name)(pixels)


def _blue_first_without_mean(pixels: Any, name: str) -> Any:
    """The scaling of Caffe's networks: blue, green, red, each less its mean over ImageNet."""
    mean = (103.939, 116.779, 123.68)
    turned = keras.ops.flip(pixels, axis=-1)
    return keras.layers.Rescaling(1.0, offset=[-value for value in mean], dtype="float32", name=name)(turned)


BACKBONES: Final[Mapping[str, Backbone]] = MappingProxyType(
    {
        "inception_v3": Backbone(
            title="Inception V3",
            build=keras.applications.InceptionV3,
            scaled=_from_minus_one_to_one,
            smallest_window=75,
            imagenet=ImageNetFile(
                folder="inception_v3",
                name="inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
                md5="bcbd6486424b2319ff4ef7d526e38f63",
            ),
        ),
        "resnet50": Backbone(
            title="ResNet50",
            build=keras.applications.ResNet50,
            scaled=_blue_first_without_mean,
            smallest_window=32,
            imagenet=ImageNetFile(
                folder="resnet",
                name="resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
                md5="4d473c1dd8becc155b73f8504c6f6626",
            ),
        ),
        "mobilenet_v3_small": Backbone(
            title="MobileNet V3 small",
            build=partial(keras.applications.MobileNetV3Small, include_preprocessing=False),
            scaled=_from_minus_one_to_one,
            smallest_window=32,
            imagenet=ImageNetFile(
                folder="mobilenet_v3",
                name="weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
                md5="d3e8ec802a04aa4fc771ee12a9a9b836",
            ),
        ),
    }
)
"""By `training.backbone`."""


def core_model(scales: int, window: int, training: Training, classes: int = 2) -> keras.Model:
    """The model that is saved and used: parts of Keras alone, so that it loads anywhere in safe mode.

    Args:
        scales: number of magnifications.
        window: side of a patch, pixels.
        training: backbone, whether the scales share it, its first weights, its precision, and its batch norm.
        classes: number of classes, at least 2.

    Returns:
        A model from `{"scale_0": (b, window, window, 3), …}`, values 0 to 255, to float32: of two classes `(b, 1)`,
        the probability of label 1 by a sigmoid; of more `(b, classes)` by a softmax, label 0 first. Its towers
        are the layers `tower_0`, … with weights of their own; towers that are shared are the one layer `tower_0`.
        Every layer is trainable; what a stage freezes is the business of `stages.set_trainable`. All weights are
        float32; the scaling of pixels and the head compute in float32, too.

    Raises:
        UsageError: the window is too small, or the weights are missing or of another network.
    """
    backbone, side = BACKBONES[training.backbone], training.input_side or window
    _check_side(backbone, side, training)
    inputs = {f"scale_{scale}": keras.Input((window, window, 3), name=f"scale_{scale}") for scale in range(scales)}
    names = [f"tower_{scale}" for scale in range(1 if training.share_towers else scales)]
    with local_weights(training.weights, backbone.imagenet) as weights, arithmetic(training.precision):
        towers = [_tower(name, backbone, side, training, weights) for name in names]
    features = [
        towers[scale % len(towers)](backbone.scaled(scaled_to(pixels, side), f"centered_{name}"))
        for scale, (name, pixels) in enumerate(inputs.items())
    ]
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


def _check_side(backbone: Backbone, side: int, training: Training) -> None:
    if side >= backbone.smallest_window:
        return
    others = [name for name, other in BACKBONES.items() if other.smallest_window <= side]
    choice = f", or set training.backbone to {' or '.join(others)}" if others else ""
    key = "tiling.window" if training.input_side is None else "training.input_side"
    remedy = "tile again with a larger window" if training.input_side is None else "raise it"
    raise UsageError(
        f"{key} is {side} px, {backbone.title} needs at least {backbone.smallest_window}: {remedy}{choice}"
    )


def _tower(name: str, backbone: Backbone, side: int, training: Training, weights: Path | None) -> keras.Model:
    build = partial(backbone.build, include_top=False, weights=None, input_shape=(side, side, 3), name=name)
    tower = build(pooling="avg") if training.pooling == "average" else _pooled_twice(build(pooling=None))
    if weights is not None:
        _load(tower, weights, training.weights, backbone)
    for layer in tower.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            set_statistics(layer, training)
    return tower


def _pooled_twice(tower: keras.Model) -> keras.Model:
    last = tower.output
    mean = keras.layers.GlobalAveragePooling2D(name="mean_of_map")(last)
    largest = keras.layers.GlobalMaxPooling2D(name="maximum_of_map")(last)
    return keras.Model(tower.input, keras.layers.Concatenate(name="both_of_map")([mean, largest]), name=tower.name)


def _load(tower: keras.Model, weights: Path, asked: str, backbone: Backbone) -> None:
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that it finds no weights for, and leaves them random.
            warnings.simplefilter("error", UserWarning)
            tower.load_weights(weights)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"training.weights: {asked} does not hold {backbone.title} without its top ({reason}); "
            f"{backbone.imagenet.remedy}"
        ) from error
