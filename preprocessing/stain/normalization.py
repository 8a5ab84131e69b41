"""The stain of a slide, estimated once from its thumbnail and carried to every worker; and how it is taken away."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from preprocessing.stain import macenko, reinhard
from preprocessing.tiling_settings import Stain

Method = Literal["macenko", "reinhard"]
MOST_PIXELS: Final = 1_000_000


@dataclass(frozen=True)
class StainProfile:
    """What normalization needs to know of a slide.

    Attributes:
        method: that estimated it.
        values: of that method, see its `estimate`; a list of doubles in the ledger.
    """

    method: Method
    values: tuple[float, ...]


class _Applies(Protocol):
    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class _Way:
    estimate: Callable[[NDArray[np.uint8]], tuple[float, ...]]
    transform: Callable[[tuple[float, ...]], _Applies]


_WAYS: Final[dict[Method, _Way]] = {
    "macenko": _Way(macenko.estimate, macenko.transform),
    "reinhard": _Way(reinhard.estimate, reinhard.transform),
}


def estimate_stain(thumbnail: NDArray[np.uint8], tissue: NDArray[np.bool_], stain: Stain) -> StainProfile | None:
    """Estimate the stain of a slide.

    Args:
        thumbnail: (h, w, 3) uint8 RGB of the whole slide; of about the same resolution for all slides.
        tissue: (h, w) bool.
        stain: the recipe's method.

    Returns:
        The profile; None where the recipe wants none. Memory: about 100 bytes a pixel of tissue, up to
        `MOST_PIXELS` of them.

    Raises:
        StainError: too little tissue, or its colors do not show what the method looks for.
    """
    if stain.method == "none":
        return None
    pixels = thumbnail[tissue]
    every = -(-len(pixels) // MOST_PIXELS) or 1  # evenly over the slide, the same ones every time
    return StainProfile(stain.method, _WAYS[stain.method].estimate(pixels[::every]))


def normalize(rgb: NDArray[np.uint8], profile: StainProfile) -> NDArray[np.uint8]:
    """Bring pixels to the stain of the reference. Each pixel by itself: the same in any patch, on any machine.

    Args:
        rgb: (h, w, 3) uint8, of the slide that the profile was estimated on.
        profile: of the slide.

    Returns:
        (h, w, 3) uint8. Memory: 3 to 6 bytes a pixel, and up to 20 MB of tables for each of the last 4 slides.
    """
    return _transform(profile).apply(rgb)


@lru_cache(maxsize=4)
def _transform(profile: StainProfile) -> _Applies:
    return _WAYS[profile.method].transform(profile.values)
