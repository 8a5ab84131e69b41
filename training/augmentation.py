"""Random changes of training patches: 8 orientations and color, as in Liu et al. 2017 (arXiv 1703.02442), and stain.

The stain changes as in Tellez et al. 2018 (arXiv 1808.05896): the color is taken apart into hematoxylin, eosin and
DAB, and each changes by itself.
"""

import math
from typing import Any, Final

import keras
import numpy as np
from keras import ops

from preprocessing.recipe import Augmentation
from training.draws import ReplicaDraws

STAINS: Final = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""Hematoxylin, eosin, DAB: optical density of red, green, blue (Ruifrok and Johnston 2001)."""


@keras.saving.register_keras_serializable(package="histospark")
class PatchAugmentation(keras.layers.Layer):
    """Turns and recolors each patch by its own draw, all scales of a patch by the same one.

    Under a distribution strategy every replica makes draws of its own for its share of the batch.

    Args:
        orientations: mirror and transpose, each of the 8 orientations equally often.
        brightness: largest shift, share of the full range.
        saturation, contrast: largest relative change.
        hue: largest shift, share of the color circle.
        stain: largest relative change of each stain, and its largest shift in optical density (log10); 0 is off.
        seed: of the draws.
    """

    def __init__(
        self,
        orientations: bool = True,
        brightness: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
        contrast: float = 0.0,
        stain: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.bounds = Augmentation(
            orientations=orientations,
            brightness=brightness,
            saturation=saturation,
            hue=hue,
            contrast=contrast,
            stain=stain,
        )
        self.seed = seed
        self.draws = ReplicaDraws(seed)

    def call(self, images: list[Any], training: bool = False) -> list[Any]:
        """Change the patches in training, and leave them alone otherwise.

        Args:
            images: one (batch, window, window, 3) tensor per scale, values 0 to 255.
            training: whether this is a training step.

        Returns:
            float32 tensors of the same shapes, values 0 to 255.
        """
        images = [ops.cast(image, "float32") for image in images]
        if not training:
            return images
        patches = ops.shape(images[0])[0]
        if self.bounds.orientations:
            choice = keras.random.uniform((3, patches, 1, 1, 1), seed=self.draws) < 0.5
            images = [oriented(image, *(choice[axis] for axis in range(3))) for image in images]
        draw = keras.random.uniform((4, patches, 1, 1, 1), -1, 1, seed=self.draws)
        if self.bounds.stain:
            change = self.bounds.stain * keras.random.uniform((2, patches, 3), -1, 1, seed=self.draws)
            images = [restained(image, change[0], change[1]) for image in images]
        return [self._recolored(image, *(draw[color] for color in range(4))) for image in images]

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        return {**super().get_config(), **self.bounds.model_dump(), "seed": self.seed}

    def _recolored(self, image: Any, brightness: Any, saturation: Any, hue: Any, contrast: Any) -> Any:
        bounds = self.bounds
        image = ops.clip(image / 255 + bounds.brightness * brightness, 0, 1)
        if bounds.saturation or bounds.hue:
            image = tinted(image, 1 + bounds.saturation * saturation, bounds.hue * hue)
        mean = ops.mean(image, axis=(1, 2), keepdims=True)
        return ops.clip((image - mean) * (1 + bounds.contrast * contrast) + mean, 0, 1) * 255


def oriented(image: Any, mirror_rows: Any, mirror_columns: Any, transpose: Any) -> Any:
    """Mirror and transpose each square of a batch.

    Args:
        image: (batch, side, side, channels).
        mirror_rows, mirror_columns, transpose: (batch, 1, 1, 1) bool, applied in this order.
    """
    image = ops.where(mirror_rows, ops.flip(image, axis=1), image)
    image = ops.where(mirror_columns, ops.flip(image, axis=2), image)
    return ops.where(transpose, ops.transpose(image, (0, 2, 1, 3)), image)


def tinted(image: Any, saturation: Any, hue: Any) -> Any:
    """Change saturation and hue.

    Args:
        image: (batch, height, width, 3), values 0 to 1.
        saturation: factor, (batch, 1, 1, 1).
        hue: shift, share of the color circle, (batch, 1, 1, 1).
    """
    hsv = ops.image.rgb_to_hsv(image)
    turned = ops.mod(hsv[..., :1] + hue, 1.0)
    colored = ops.clip(hsv[..., 1:2] * saturation, 0, 1)
    return ops.image.hsv_to_rgb(ops.concatenate([turned, colored, hsv[..., 2:]], axis=-1))


def restained(image: Any, alpha: Any, beta: Any) -> Any:
    """Change the amount of each stain: s becomes s * (1 + alpha) + beta.

    Only the change is computed in optical density, and the pixel is multiplied by what it comes to. So no change
    gives the very same pixel, and black, which has no finite density, stays black.

    Args:
        image: (batch, height, width, 3), values 0 to 255.
        alpha: relative change of hematoxylin, eosin and DAB, (batch, 3).
        beta: shift of the same in optical density (log10), (batch, 3).

    Returns:
        float32 of the same shape, values 0 to 255.
    """
    mixing = np.array(STAINS, np.float32)
    unmixing = np.linalg.inv(np.array(STAINS)).astype(np.float32)
    # Taking apart, scaling and mixing again are one 3x3 matrix per patch.
    unmixed = ops.expand_dims(unmixing, 0) * ops.expand_dims(alpha, 1)
    scaling = ops.expand_dims(ops.matmul(unmixed, mixing), 1)
    shift = ops.expand_dims(ops.matmul(beta, mixing), (1, 2))
    # An 8-bit pixel of 0 may be anything below 1.
    density = -ops.log(ops.maximum(image, 1.0) / 255) / math.log(10)
    change = ops.matmul(density, scaling) + shift
    return ops.clip(image * ops.exp(-math.log(10) * change), 0, 255)
