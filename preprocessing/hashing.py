"""Stable 64-bit hashes: the only source of chance in tiling.

A draw by hash depends on what is drawn, never on the order in which tasks run, so any number of cores
gives the same patches. Python's own `hash` changes with every process and is never used.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def stable_hash(*parts: str | int) -> int:
    """Hash a few values into 63 bits, the same in every process and on every machine.

    Args:
        parts: what identifies the thing; `("a", "bc")` and `("ab", "c")` differ.

    Returns:
        An integer from 0 to 2**63 - 1, so that it fits a signed 64-bit column.
    """
    text = "\x1f".join(str(part) for part in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def mixed(key: int, xy: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Hash many positions at once, by the finaliser of SplitMix64 (Steele, Lea, Flood 2014).

    The finaliser is a bijection on 64 bits: under one key, two positions never share a number.

    Args:
        key: from `stable_hash`; other keys give unrelated numbers.
        xy: (n, 2), not negative.

    Returns:
        (n,) uint64, spread evenly over the whole range.
    """
    packed = (xy[:, 0].astype(np.uint64) << np.uint64(32)) | xy[:, 1].astype(np.uint64)
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is what is meant
        z = (packed ^ np.uint64(key)) + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


def patch_ids(slide_id: str, recipe_id: str, xy: NDArray[np.int32]) -> NDArray[np.int64]:
    """Number every position of a slide; also the order in which patches are drawn and stored.

    Args:
        slide_id: name of the slide.
        recipe_id: short hash of the recipe that cuts it.
        xy: (n, 2) level-0 pixels.

    Returns:
        (n,) int64, spread evenly over the whole range, no two alike; see `mixed`.
    """
    return mixed(stable_hash(slide_id, recipe_id), xy).view(np.int64)
