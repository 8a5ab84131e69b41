"""From candidates to chosen positions: all marked patches, and normals drawn by their hash.

Each slide is drawn by itself, the same on any number of cores.
"""

from collections.abc import Callable, Iterable
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from preprocessing.tiling_settings import Sampling, Tiling

_BINS: Final = 1 << 16
_SHIFT: Final = 48  # bits below those that number the bins


def limits_of(tiling: Tiling) -> Sampling:
    """The limits that count: a slide that is labeled as a whole has no normals beside tumor, so only quotas thin it."""
    if tiling.labels.source != "slide":
        return tiling.sampling
    return tiling.sampling.model_copy(update={"normals_per_tumor": None, "from_slides_without_tumor": None})


def most_normals(positives: int, sampling: Sampling, quota: int | None) -> int | None:
    """How many normals of a slide are wanted at most.

    That is the first of these limits: `normals_per_tumor` for each positive, or `from_slides_without_tumor` where there
    is none; `max_normals`; the slide's quota.

    Args:
        positives: candidates of the slide that are positive.
        sampling: the limits of the recipe.
        quota: `SlideEntry.max_normals`; None sets no limit.

    Returns:
        A number of patches; None where there is no limit.
    """
    by_ratio: int | None = sampling.from_slides_without_tumor
    if positives:
        ratio = sampling.normals_per_tumor
        by_ratio = None if ratio is None else ceil(positives * ratio)
    limits = [limit for limit in (by_ratio, sampling.max_normals, quota) if limit is not None]
    return min(limits) if limits else None


def first_not_drawn(hashes: Callable[[], Iterable[NDArray[np.int64]]], wanted: int) -> int:
    """The hash that has `wanted` smaller ones: those are drawn, and this one and all above are not.

    Goes over the hashes twice: the first time counts them by their highest 16 bits, the second looks only at those that
    share these bits with the limit.

    Args:
        hashes: gives those of a slide, all different and evenly spread, part by part; called twice.
        wanted: how many are drawn, fewer than there are.

    Returns:
        A patch_id. Memory: 65,536 counts, a part, and one in 65,536 of the slide's hashes.

    Raises:
        ValueError: there are no more than `wanted`.
    """
    counts = np.zeros(_BINS, np.int64)
    for part in hashes():
        counts += np.bincount(_bin_of(part), minlength=_BINS)
    up_to = np.cumsum(counts)
    if up_to[-1] <= wanted:
        raise ValueError(f"{wanted} of {up_to[-1]} hashes leave none that is not drawn")
    limit = int(np.searchsorted(up_to, wanted, side="right"))
    near = np.concatenate([part[_bin_of(part) == limit] for part in hashes()])
    place = wanted - int(up_to[limit] - counts[limit])
    return int(np.partition(near, place)[place])


def _bin_of(hashes: NDArray[np.int64]) -> NDArray[np.int64]:
    return (hashes >> _SHIFT) + _BINS // 2
