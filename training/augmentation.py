"""Random changes of training patches: place, orientation and color as in Liu et al. 2017 (arXiv 1703.02442), and stain.

The stain changes as in Tellez et al. 2018 (arXiv 1808.05896): the color is taken apart into hematoxylin, eosin and
DAB, and each changes by itself.
"""

import math
from collections.abc import Sequence
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
    """Moves, turns and recolors each patch by its own draw, all scales of a patch by the same one.

    Under a distribution strategy every replica makes draws of its own for its share of the batch.

    Args:
        orientations: mirror and transpose, each of the 8 orientations equally often.
        brightness: largest shift, share of the full range.
        saturation, contrast: largest relative change.
        hue: largest shift, share of the color circle.
        stain: largest relative change of each stain, and its largest shift in optical density (log10); 0 is off.
        jitter: most pixels of scale 0 by which a patch is moved before it is cut.
        flips: mirror, each of the 4 ways equally often; instead of `orientations`.
        rotation: largest turn by any angle, degrees; together with `zoom` before the patch is moved and cut.
        zoom: largest relative change of the size.
        window: side of the patches that leave the layer, pixels; larger ones are cut. None: as they come.
        ratios: pixels of each scale per pixel of scale 0, for the way that a patch is moved at that scale.
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
        jitter: int = 0,
        flips: bool = False,
        rotation: float = 0.0,
        zoom: float = 0.0,
        window: int | None = None,
        ratios: Sequence[float] = (),
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.window = window
        self.ratios = tuple(ratios)
        self.bounds = Augmentation(
            jitter=jitter,
            orientations=orientations,
            flips=flips,
            rotation=rotation,
            zoom=zoom,
            brightness=brightness,
            saturation=saturation,
            hue=hue,
            contrast=contrast,
            stain=stain,
        )
        self.seed = seed
        self.draws = ReplicaDraws(seed)

    def call(self, images: list[Any], training: bool = False) -> list[Any]:
        """Change the patches in training, and only cut out their middle otherwise.

        Args:
            images: one (batch, side, side, 3) tensor per scale, values 0 to 255; `side` is at least `window`.
            training: whether this is a training step.

        Returns:
            (batch, window, window, 3) float32 tensors, values 0 to 255.
        """
        images = [ops.cast(image, "float32") for image in images]
        if not training:
            return [self._cut(image) for image in images]
        patches = ops.shape(images[0])[0]
        if self.bounds.rotation or self.bounds.zoom:
            turn = keras.random.uniform((2, patches), -1, 1, seed=self.draws)
            angle, size = math.radians(self.bounds.rotation) * turn[0], 1 + self.bounds.zoom * turn[1]
            images = [turned(image, angle, size) for image in images]
        if self.bounds.jitter:
            reach = self.bounds.jitter
            way = keras.random.randint((2, patches), -reach, reach + 1, seed=self.draws)
            moves = zip(images, self.ratios, strict=True)
            images = [moved(image, way, ratio, self.window or image.shape[1]) for image, ratio in moves]
        else:
            images = [self._cut(image) for image in images]
        if self.bounds.orientations or self.bounds.flips:
            ways = 3 if self.bounds.orientations else 2
            choice = keras.random.uniform((ways, patches, 1, 1, 1), seed=self.draws) < 0.5
            images = [oriented(image, *(choice[axis] for axis in range(ways))) for image in images]
        draw = keras.random.uniform((4, patches, 1, 1, 1), -1, 1, seed=self.draws)
        if self.bounds.stain:
            change = self.bounds.stain * keras.random.uniform((2, patches, 3), -1, 1, seed=self.draws)
            images = [restained(image, change[0], change[1]) for image in images]
        return [self._recolored(image, *(draw[color] for color in range(4))) for image in images]

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        own = {"window": self.window, "ratios": self.ratios, "seed": self.seed}
        return {**super().get_config(), **self.bounds.model_dump(), **own}

    def _cut(self, image: Any) -> Any:
        side = image.shape[1]
        if self.window is None or side == self.window:
            return image
        first = (side - self.window) // 2
        return image[:, first : first + self.window, first : first + self.window]

    def _recolored(self, image: Any, brightness: Any, saturation: Any, hue: Any, contrast: Any) -> Any:
        bounds = self.bounds
        image = ops.clip(image / 255 + bounds.brightness * brightness, 0, 1)
        if bounds.saturation or bounds.hue:
            image = tinted(image, 1 + bounds.saturation * saturation, bounds.hue * hue)
        mean = ops.mean(image, axis=(1, 2), keepdims=True)
        return ops.clip((image - mean) * (1 + bounds.contrast * contrast) + mean, 0, 1) * 255


def turned(image: Any, angle: Any, size: Any) -> Any:
    """Turn and resize what each square of a batch shows, around its middle, by one bilinear resampling.

    What comes in from outside is the mirror image of the square. (Keras' own resampling cannot be compiled by XLA.)

    Args:
        image: (batch, side, side, channels).
        angle: (batch,) radians, counterclockwise.
        size: (batch,) factor.

    Returns:
        The same shape. Memory: four more of it.
    """
    side, channels = image.shape[1], image.shape[3]
    batch = ops.shape(image)[0]
    flat = ops.reshape(image, (-1, channels))
    first = side**2 * ops.arange(batch, dtype="int32")[:, None, None]
    steps = ops.arange(side, dtype="float32") - (side - 1) / 2
    cosine, sine = (ops.expand_dims(of(angle) / size, (1, 2)) for of in (ops.cos, ops.sin))
    down = (side - 1) / 2 + cosine * steps[:, None] + sine * steps
    right = (side - 1) / 2 - sine * steps[:, None] + cosine * steps
    top, left = ops.floor(down), ops.floor(right)

    def row(of: Any) -> Any:
        pixels = [
            ops.take(flat, first + _inside(of, side) * side + _inside(left + one, side), axis=0) for one in (0, 1)
        ]
        return pixels[0] + ops.expand_dims(right - left, -1) * (pixels[1] - pixels[0])

    upper = row(top)
    return upper + ops.expand_dims(down - top, -1) * (row(top + 1) - upper)


def _inside(index: Any, side: int) -> Any:
    """Where an index of any size falls when the row is mirrored at its ends, as often as it takes; int32."""
    within = ops.mod(ops.cast(index, "int32"), 2 * side)
    return ops.minimum(within, 2 * side - 1 - within)


def moved(image: Any, way: Any, ratio: float, window: int) -> Any:
    """Cut a window out of the middle of each square of a batch, moved by whole pixels.

    Args:
        image: (batch, side, side, channels).
        way: (2, batch) int32, down and right, pixels of scale 0.
        ratio: pixels of this scale per pixel of scale 0; half pixels go up.
        window: side of the cut, pixels.

    Returns:
        (batch, window, window, channels).
    """
    side, channels = image.shape[1], image.shape[3]
    here = ops.cast(ops.floor(ops.cast(way, "float32") * ratio + 0.5), "int32")
    places = ops.arange(window, dtype="int32") + (side - window) // 2 + ops.expand_dims(here, -1)
    rows = ops.broadcast_to(places[0][:, :, None, None], (ops.shape(image)[0], window, side, channels))
    image = ops.take_along_axis(image, rows, axis=1)
    columns = ops.broadcast_to(places[1][:, None, :, None], (ops.shape(image)[0], window, window, channels))
    return ops.take_along_axis(image, columns, axis=2)


def oriented(image: Any, mirror_rows: Any, mirror_columns: Any, transpose: Any = None) -> Any:
    """Mirror and transpose each square of a batch.

    Args:
        image: (batch, side, side, channels).
        mirror_rows, mirror_columns, transpose: (batch, 1, 1, 1) bool, applied in this order; None transposes none.
    """
    image = ops.where(mirror_rows, ops.flip(image, axis=1), image)
    image = ops.where(mirror_columns, ops.flip(image, axis=2), image)
    return image if transpose is None else ops.where(transpose, ops.transpose(image, (0, 2, 1, 3)), image)


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
