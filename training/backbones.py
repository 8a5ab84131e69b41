"""The networks that towers may be, what they do to pixels, and where their first weights are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import keras

from training.small_resnet import small_resnet
from training.weights import ImageNetFile

TOWER: Final = "tower_"
"""How the names of the towers of a model begin; the number of the scale follows."""
_IMAGENET_MEAN: Final = (123.68, 116.779, 103.939)


@dataclass(frozen=True)
class Backbone:
    """A network without its top.

    Attributes:
        title: for people.
        build: by `input_shape`, `name` and `pooling`, as in keras.applications; pixels enter it scaled.
        scaled: from pixels (0 to 255) to what the network was made for, by built-in layers of the given name.
        smallest_window: side of the smallest patch that reaches its end, pixels.
        landmark: a layer that no other backbone has.
        imagenet: its first weights; None where nobody offers any.
        takes_off_mean: whether `scaled` takes another `mean` than ImageNet's.
    """

    title: str
    build: Callable[..., keras.Model]
    scaled: Callable[..., Any]
    smallest_window: int
    landmark: str
    imagenet: ImageNetFile | None
    takes_off_mean: bool = False


def _from_minus_one_to_one(pixels: Any, name: str) -> Any:
    return keras.layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name=name)(pixels)


def _blue_first_without_mean(pixels: Any, name: str, mean: tuple[float, float, float] = _IMAGENET_MEAN) -> Any:
    """The scaling of Caffe's networks: blue, green, red, each less its mean; `mean` has red first."""
    turned = keras.ops.flip(pixels, axis=-1)
    return keras.layers.Rescaling(1.0, offset=[-value for value in mean[::-1]], dtype="float32", name=name)(turned)


BACKBONES: Final[Mapping[str, Backbone]] = MappingProxyType(
    {
        "inception_v3": Backbone(
            title="Inception V3",
            build=partial(keras.applications.InceptionV3, include_top=False, weights=None),
            scaled=_from_minus_one_to_one,
            smallest_window=75,
            landmark="mixed10",
            imagenet=ImageNetFile(
                folder="inception_v3",
                name="inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
                md5="bcbd6486424b2319ff4ef7d526e38f63",
            ),
        ),
        "resnet50": Backbone(
            title="ResNet50",
            build=partial(keras.applications.ResNet50, include_top=False, weights=None),
            scaled=_blue_first_without_mean,
            smallest_window=32,
            landmark="conv5_block3_out",
            imagenet=ImageNetFile(
                folder="resnet",
                name="resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
                md5="4d473c1dd8becc155b73f8504c6f6626",
            ),
            takes_off_mean=True,
        ),
        "mobilenet_v3_small": Backbone(
            title="MobileNet V3 small",
            build=partial(
                keras.applications.MobileNetV3Small, include_top=False, weights=None, include_preprocessing=False
            ),
            scaled=_from_minus_one_to_one,
            smallest_window=32,
            landmark="expanded_conv_10_project_bn",
            imagenet=ImageNetFile(
                folder="mobilenet_v3",
                name="weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
                md5="d3e8ec802a04aa4fc771ee12a9a9b836",
            ),
        ),
        "small_resnet": Backbone(
            title="Small ResNet",
            build=small_resnet,
            scaled=_from_minus_one_to_one,
            smallest_window=8,
            landmark="stage_2_block_2",
            imagenet=None,
        ),
    }
)
"""By `training.backbone`."""
