"""Heatmap tiles in color: the stored values with a table of colors, as PNG knows it."""

import io
from functools import lru_cache
from typing import Final

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.lab.heat_image import probability_of

MAPS: Final = ("turbo", "viridis", "magma", "inferno", "plasma", "cividis", "hot", "gray")


def colored_png(values: NDArray[np.uint8], name: str, first: int) -> bytes:
    """A tile as PNG with a palette: no pixel is touched, and it is a quarter of an RGBA picture.

    Args:
        values: (h, w) stored values.
        name: of the color map, one of `MAPS`.
        first: the lowest value that is shown, 1 or more; those below and 0 are transparent.
    """
    colors, opacity = _palette(name, first)
    picture = Image.fromarray(values, "L")
    picture.putpalette(colors)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=opacity, compress_level=1)
    return buffer.getvalue()


@lru_cache(maxsize=64)
def _palette(name: str, first: int) -> tuple[bytes, bytes]:
    """256 colors as RGB, and their opacities."""
    places = [probability_of(value) or 0.0 for value in range(256)]
    colors = matplotlib.colormaps[name](places, bytes=True)[:, :3]
    opacity = np.where(np.arange(256) < max(first, 1), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(colors).tobytes(), opacity.tobytes()
