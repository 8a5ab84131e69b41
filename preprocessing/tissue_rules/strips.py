"""Large planes in strips of whole rows, so that what is made on the way to a mask never has the size of the plane."""

from collections.abc import Iterator
from typing import Final

STRIP_PIXELS: Final = 1 << 18
"""Of a strip, about: its intermediate planes stay in the cache of a core."""


def strips(shape: tuple[int, ...], halo: int = 0) -> Iterator[tuple[slice, slice]]:
    """The rows of a plane, from top to bottom.

    Args:
        shape: height, width, and whatever follows.
        halo: rows above and below that a strip's result depends on.

    Yields:
        The rows of a strip, and these with their halo as far as the plane has it. A strip has at least 4 halos, so
        that little is done twice, and one row.
    """
    height, width = shape[:2]
    rows = max(1, STRIP_PIXELS // max(1, width), 4 * halo)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        yield slice(top, bottom), slice(max(0, top - halo), min(height, bottom + halo))
