"""Variants of a window, turned and recolored at random: deep-histopath's marginalization over noise."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from inference.engines.base import Images
from inference.engines.orientations import ORIENTATIONS, Orientation
from preprocessing.hashing import stable_hash
from preprocessing.recipe import Recipe


@dataclass(frozen=True)
class Variant:
    """A form of windows: turned, then brightened, then with another contrast, as training does it.

    Attributes:
        orientation: the turn.
        brightness: shift, share of the full range.
        contrast: relative change, around the mean of each window and channel.
    """

    orientation: Orientation
    brightness: float
    contrast: float

    def __call__(self, images: Images) -> Images:
        """See `averaged.Form`. Memory: three times a scale of the batch as float32."""
        return [self._recolored(scale) for scale in self.orientation(images)]

    def _recolored(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        bright = np.clip(pixels.astype(np.float32) + np.float32(255 * self.brightness), 0, 255)
        mean = bright.mean(axis=(1, 2), keepdims=True)
        changed = np.clip((bright - mean) * np.float32(1 + self.contrast) + mean, 0, 255)
        return np.rint(changed).astype(np.uint8)


@dataclass(frozen=True)
class Variants:
    """How variants are drawn.

    Attributes:
        count: of all, the window as it is among them.
        seed: of the recipe.
        orientations: 8, 4 or 1, what training turns or mirrors by.
        brightness, contrast: largest shift and largest relative change, as in training.
    """

    count: int
    seed: int
    orientations: int
    brightness: float
    contrast: float

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """Those that a recipe asks for."""
        bounds = recipe.training.augmentation
        turned = bounds.orientations or bounds.rotation >= 90
        orientations = 8 if turned else 4 if bounds.flips else 1
        return cls(recipe.inference.variants, recipe.seed, orientations, bounds.brightness, bounds.contrast)

    def forms(self) -> tuple[Orientation | Variant, ...]:
        """The window as it is, then the drawn ones; the first few of many are those of few, on every worker."""
        draw = np.random.default_rng(stable_hash("variants", self.seed))
        first, *_ = turns = ORIENTATIONS[self.orientations]
        drawn = []
        for _ in range(self.count - 1):
            turn, (brightness, contrast) = int(draw.integers(len(turns))), draw.uniform(-1, 1, 2).tolist()
            drawn.append(Variant(turns[turn], self.brightness * brightness, self.contrast * contrast))
        return first, *drawn
