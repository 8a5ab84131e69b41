"""Random changes of training patches: 8 orientations and color, as in Liu et al. 2017 (arXiv 1703.02442)."""

from typing import Any

import keras
from keras import ops

from preprocessing.recipe import Augmentation


@keras.saving.register_keras_serializable(package="histospark")
class PatchAugmentation(keras.layers.Layer):
    """Turns and recolors each patch by its own draw, all scales of a patch by the same one.

    Under a distribution strategy every replica makes the same draws for its share of the batch.

    Args:
        orientations: mirror and transpose, each of the 8 orientations equally often.
        brightness: largest shift, share of the full range.
        saturation, contrast: largest relative change.
        hue: largest shift, share of the color circle.
        seed: of the draws.
    """

    def __init__(
        self,
        orientations: bool = True,
        brightness: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
        contrast: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.bounds = Augmentation(
            orientations=orientations, brightness=brightness, saturation=saturation, hue=hue, contrast=contrast
        )
        self.seed = seed
        self.draws = keras.random.SeedGenerator(seed)

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
