"""The cache keeps the last used tiles and those needed later, within its bounds, and never writes into what is held."""

from concurrent.futures import ThreadPoolExecutor

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


def test_what_is_needed_later_stays_beside_the_last_used() -> None:
    cache = TileCache(2 * BYTES, BYTES, later_limit=2 * BYTES)
    cache.keep({1, 3})
    for number in (1, 2, 3, 4, 5, 6):
        filled(cache, number)
    assert kept(cache) == [1, 3, 5, 6]
    assert cache.held == 4 * BYTES
    assert all((cache.get(number) == number).all() for number in (1, 3, 5, 6))


def test_what_is_due_stays_until_the_next_part() -> None:
    cache = TileCache(2 * BYTES, BYTES, later_limit=3 * BYTES)
    cache.keep({1, 3})
    for number in (1, 2, 3):
        filled(cache, number)
    cache.keep({3})  # now 1 is due
    for number in (4, 5, 6, 7):
        filled(cache, number)
    assert kept(cache) == [1, 3, 6, 7]
    cache.keep(())
    for number in (8, 9):
        filled(cache, number)
    assert kept(cache) == [3, 8, 9]
    cache.keep(())
    assert kept(cache) == [8, 9]


def test_what_finds_no_room_for_later_goes() -> None:
    cache = TileCache(2 * BYTES, BYTES, later_limit=BYTES)
    cache.keep(range(1, 10))
    for number in range(1, 8):
        filled(cache, number)
    assert kept(cache) == [1, 6, 7]
    assert cache.held == 3 * BYTES


def test_its_room_is_used_again_and_never_grows() -> None:
    cache = TileCache(2 * BYTES, BYTES, later_limit=3 * BYTES)
    later = set(range(2, 20_000, 5))
    for part in range(0, 20_000, 7):
        cache.keep({number for number in later if number >= part})
        for number in range(part, part + 7):
            filled(cache, number)
            assert cache.held <= 5 * BYTES
    assert cache.held >= 2 * BYTES


def test_a_tile_that_is_held_is_not_written_over_when_it_is_given_up() -> None:
    cache = TileCache(BYTES, BYTES, later_limit=BYTES)
    cache.keep({1})
    corner = filled(cache, 1)[:2, 1:3]
    filled(cache, 2)
    for part in range(3, 12):
        cache.keep(())
        filled(cache, part)
        assert (corner == 1).all()
    del corner
    cache.keep(())
    assert kept(cache) == [11]


def test_threads_find_their_own_tiles_while_parts_change() -> None:
    cache = TileCache(8 * BYTES, BYTES, later_limit=8 * BYTES)
    wrong: list[int] = []

    def read_much(seed: int) -> None:
        for number in np.random.default_rng(seed).integers(0, 60, 1500).tolist():
            if number % 15 == 0:
                cache.keep(range(number, number + 10))
            tile = cache.get(number)
            tile = filled(cache, number) if tile is None else tile
            if (tile != number).any() or cache.held > 16 * BYTES:
                wrong.append(number)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(read_much, range(6)))  # what one raises is raised here
    assert not wrong
