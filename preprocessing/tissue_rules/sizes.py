"""Lengths and areas of the rules: stated in µm, needed in pixels."""

from typing import Final

_NOMINAL_MPP: Final = 8.0


def pixels(length_um: float, mpp: float | None) -> int:
    """A length in whole pixels, at least 1.

    Args:
        length_um: micrometers.
        mpp: micrometers per pixel; where unknown, the 8 that thumbnails are made for.
    """
    return max(1, round(length_um / (mpp or _NOMINAL_MPP)))


def area_pixels(side_um: float, mpp: float | None) -> int:
    """The pixels of a square of a given side, at least 1.

    Args:
        side_um: micrometers.
        mpp: as for `pixels`.
    """
    return max(1, round((side_um / (mpp or _NOMINAL_MPP)) ** 2))
