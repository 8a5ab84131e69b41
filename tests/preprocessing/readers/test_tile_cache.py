"""The cache keeps the last used tiles, never more than its bound, and never writes into what somebody holds."""

import numpy as np
import pytest
from numpy.typing import NDArray

from preprocessing.readers.tile_cache import TileCache

SHAPE = (4, 4, 3)
BYTES = 48


def filled(cache: TileCache, number: int) -> NDArray[np.uint8]:
    return cache.add(number, SHAPE, lambda tile: tile.fill(number))


def kept(cache: TileCache) -> list[int]:
    return [number for number in range(20) if cache.get(number) is not None]


def test_the_tile_that_was_not_used_for_longest_goes() -> None:
    cache = TileCache(3 * BYTES, BYTES)
    for number in (1, 2, 3):
        filled(cache, number)
    cache.get(1)
    filled(cache, 4)
    assert kept(cache) == [1, 3, 4]
    assert cache.held == 3 * BYTES


def test_a_tile_that_is_held_is_not_written_over() -> None:
    cache = TileCache(2 * BYTES, BYTES)
    held = filled(cache, 1)
    corner = filled(cache, 2)[:2, 1:3]  # a view alone, of which the tile itself is forgotten
    for number in range(3, 12):
        filled(cache, number)
    assert (held == 1).all()
    assert (corner == 2).all()


def test_what_finds_no_room_is_given_all_the_same() -> None:
    cache = TileCache(BYTES // 2, BYTES)
    assert (filled(cache, 5) == 5).all()
    assert cache.get(5) is None
    assert cache.held == 0


def test_what_could_not_be_written_leaves_its_room_to_others() -> None:
    cache = TileCache(BYTES, BYTES)

    def fail(_: NDArray[np.uint8]) -> None:
        raise ValueError("damaged")

    for _ in range(3):
        with pytest.raises(ValueError, match="damaged"):
            cache.add("bad", SHAPE, fail)
    assert cache.get("bad") is None
    filled(cache, 7)
    assert kept(cache) == [7]


def test_tiles_of_several_sizes_share_it() -> None:
    cache = TileCache(2 * BYTES, BYTES)
    small = cache.add("small", (2, 2, 3), lambda tile: tile.fill(1))
    large = filled(cache, 2)
    assert small.shape == (2, 2, 3)
    assert (small == 1).all()
    assert (large == 2).all()
    assert cache.held == 12 + BYTES


def test_a_closed_cache_keeps_nothing_and_harms_nobody() -> None:
    cache = TileCache(2 * BYTES, BYTES)
    tile = filled(cache, 1)
    cache.close()
    assert (tile == 1).all()
    assert (filled(cache, 2) == 2).all()
    assert kept(cache) == []
