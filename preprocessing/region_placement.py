"""The placements `regions` and `region_centers`: windows on marked regions, and windows of the grid that show none.

So Shen et al. 2019 cut the sets S10 and S of their mammograms.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from preprocessing.hashing import mixed, stable_hash
from preprocessing.marked_regions import MarkedRegion
from preprocessing.marks import Marks
from preprocessing.placement_settings import InRegions, OnRegionCenters
from preprocessing.scales import SlideScale

_PATIENCE: Final = 1000  # draws that fail one after the other before less overlap is asked for
_LOWERED: Final = 0.05  # by so much

Place = tuple[int, int]


@dataclass(frozen=True, eq=False)
class ApartFromRegions:
    """Keeps the windows that overlap each region by `most` at the most, by `MarkedRegion.overlaps`."""

    regions: Sequence[MarkedRegion]
    most: float
    window: int

    def __call__(self, origins: NDArray[np.int32]) -> NDArray[np.bool_]:
        """(k,) bool for (k, 2) corners. Memory: that of one region's overlaps."""
        apart = np.ones(len(origins), bool)
        for region in self.regions:
            low = np.array((region.x, region.y), np.int64)
            meets = apart & ((origins + np.int64(self.window) > low) & (origins < low + region.size)).all(axis=1)
            if meets.any():
                apart[meets] = region.overlaps(origins[meets], self.window) <= self.most
        return apart


def region_key(slide_id: str, seed: int) -> int:
    """The key of the draws on a slide: other slides and other seeds draw other windows."""
    return stable_hash("regions", seed, slide_id)


def region_marks(
    regions: Sequence[MarkedRegion], finest: SlideScale, window: int, placement: InRegions | OnRegionCenters, key: int
) -> Marks:
    """What the regions of a slide ask for; a place is taken once, by the first region that wants it.

    Args:
        regions: of the slide.
        finest: scale 0 on the slide.
        window: side of a window, scale-0 pixels.
        placement: of the recipe.
        key: from `region_key`.

    Returns:
        Windows wholly on the slide: what would reach beyond is moved onto it. Memory: 200 bytes a window.
    """
    last = (finest.width - window, finest.height - window)
    taken: dict[Place, int] = {}
    left_out: list[Place] = []
    for number, region in enumerate(regions):
        middle = _middle(region, window, last)
        if isinstance(placement, InRegions):
            wanted = placement.per_region
            found = list(_drawn(region, window, last, placement, stable_hash("region", key, number), taken))
        else:
            wanted, found = 1, [] if middle in taken else [middle]
        taken |= dict.fromkeys(found, region.label)
        left_out += [middle] * (wanted - len(found))
    labels = np.array(list(taken.values()), np.int32)
    apart = ApartFromRegions(regions, placement.max_background_overlap, window)
    return Marks(_places(list(taken)), labels, _places(left_out), apart)


def _drawn(
    region: MarkedRegion, window: int, last: Place, placement: InRegions, key: int, taken: dict[Place, int]
) -> Iterator[Place]:
    """Draw centers in the bounding box until enough windows overlap well, asking for less after many failures.

    A place that is taken is a failure, too. A region on which too few windows fit gives fewer.
    """
    own: set[Place] = set()
    enough = min(placement.per_region, region.size[0] * region.size[1])  # there are no more places in a small box
    failures = lowered = start = 0
    while lowered == 0 or placement.min_overlap - lowered * _LOWERED > 0:
        origins = _draws(region, window, last, key, start)
        start += _PATIENCE
        for place, overlap in zip(map(tuple, origins.tolist()), region.overlaps(origins, window).tolist(), strict=True):
            if overlap >= placement.min_overlap - lowered * _LOWERED and place not in taken and place not in own:
                own.add(place)
                yield place
                failures = 0
                if len(own) == enough:
                    return
                continue
            failures += 1
            if failures == _PATIENCE:
                failures, lowered = 0, lowered + 1


def _draws(region: MarkedRegion, window: int, last: Place, key: int, start: int) -> NDArray[np.int32]:
    """The corners of `_PATIENCE` windows whose centers are drawn evenly in the bounding box, from number `start` on."""
    numbers = np.zeros((_PATIENCE, 2), np.int32)
    numbers[:, 1] = np.arange(start, start + _PATIENCE)
    draws = mixed(key, numbers)
    halves = np.stack([draws >> np.uint64(32), draws & np.uint64(0xFFFFFFFF)], axis=-1)
    centers = (halves % np.array(region.size, np.uint64)).astype(np.int64) + np.array((region.x, region.y))
    return np.clip(centers - window // 2, 0, last).astype(np.int32)


def _middle(region: MarkedRegion, window: int, last: Place) -> Place:
    """The corner of the window around the middle of the bounding box, moved onto the slide."""
    (width, height), (most_x, most_y) = region.size, last
    x, y = region.x + width // 2 - window // 2, region.y + height // 2 - window // 2
    return min(max(x, 0), most_x), min(max(y, 0), most_y)


def _places(places: Sequence[Place]) -> NDArray[np.int32]:
    return np.array(places, np.int32).reshape(-1, 2)
