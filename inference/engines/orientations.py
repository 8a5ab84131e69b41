"""The turns and mirrorings of a window: 8 as Liu et al. 2017 (arXiv 1703.02442, section 3), 4 as Shen et al. 2019."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from inference.engines.base import Images


@dataclass(frozen=True)
class Orientation:
    """A form of windows: mirrored left to right, then turned; all scales alike.

    Attributes:
        mirrored: whether it is mirrored.
        quarters: turns by 90 degrees.
    """

    mirrored: bool
    quarters: int

    def __call__(self, images: Images) -> Images:
        """See `averaged.Form`."""
        sides = [scale[:, :, ::-1] if self.mirrored else scale for scale in images]
        return [np.ascontiguousarray(np.rot90(scale, self.quarters, axes=(1, 2))) for scale in sides]


ALL: Final = tuple(Orientation(mirrored, quarters) for mirrored in (False, True) for quarters in range(4))
FLIPS: Final = tuple(it for it in ALL if it.quarters % 2 == 0)
"""As it is, mirrored in x, in y, and in both, which is half a turn."""
ORIENTATIONS: Final = {1: ALL[:1], 4: FLIPS, 8: ALL}
"""By their number, the window as it is first."""
