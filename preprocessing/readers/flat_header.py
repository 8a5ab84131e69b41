"""What a flat image says of itself."""

from dataclasses import dataclass
from typing import Self

from preprocessing.readers.flat_pixels import TURNED

_FINEST_MPP, _COARSEST_MPP = 0.02, 10.0


@dataclass(frozen=True)
class FlatHeader:
    """A flat image before it is decoded.

    Attributes:
        kind: png, jpeg or tiff.
        width, height: pixels of the upright image.
        orientation: how it is stored, 1..8 (EXIF and TIFF tag 274).
        mpp: micrometers per pixel, None where the file does not say.
    """

    kind: str
    width: int
    height: int
    orientation: int
    mpp: float | None

    @classmethod
    def of(cls, kind: str, stored: tuple[int, int], orientation: object, mpp: float | None) -> Self:
        """A header from the (width, height) as stored."""
        known = orientation if isinstance(orientation, int) else 1
        width, height = reversed(stored) if known in TURNED else stored
        return cls(kind, width, height, known, mpp)


def plausible_mpp(mpp: float) -> float | None:
    """A resolution as it is where a microscope may have made it, else None.

    Most images carry a resolution for printing (72 dpi are 353 micrometers a pixel, 1200 dpi are 21), which says
    nothing of the specimen: above 10 and below 0.02 micrometers it is not taken.
    """
    return mpp if _FINEST_MPP <= mpp <= _COARSEST_MPP else None
