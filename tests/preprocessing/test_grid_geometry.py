"""Windows lie on the grid and inside the slide; blocks share them out, each to one; scales share a center."""

import math
import subprocess
import sys
import tracemalloc
from itertools import product

import numpy as np
import pytest

from preprocessing.grid import (
    Block,
    Grid,
    blocks,
    count_shards,
    jitter_key,
    scale_origins,
    shard_blocks,
    unit_shape,
)

CASES = [
    (80, 50, (0,), 1280, 1280, 512),
    (80, 25, (13,), 333, 250, 100),
    (64, 128, (0,), 700, 700, 128),
    (80, 50, (0,), 80, 80, 80),
    (80, 50, (0, 25), 1000, 700, 128),
    (80, 50, (40, 7, 12), 400, 999, 300),
    (80, 50, (600,), 1000, 700, 128),  # the first blocks own nothing
]


def every_block(grid: Grid, width: int, height: int, side: int, per_unit: int = 1) -> list[Block]:
    units = range(count_shards(grid, width, height, side, per_unit))
    return [block for unit in units for block in shard_blocks(unit, grid, width, height, side, per_unit)]


def owned(grid: Grid, width: int, height: int, side: int) -> list[tuple[int, int]]:
    found = [block.origins(grid, width, height) for block in every_block(grid, width, height, side)]
    assert all(origins.dtype == np.int32 for origins in found)
    return [(x, y) for origins in found for x, y in origins.tolist()]


def by_loops(window: int, stride: int, offset: int, width: int, height: int) -> set[tuple[int, int]]:
    xs, ys = range(offset, width - window + 1, stride), range(offset, height - window + 1, stride)
    return set(product(xs, ys))


@pytest.mark.parametrize(("window", "stride", "offsets", "width", "height", "side"), CASES)
def test_blocks_own_every_window_exactly_once(
    window: int, stride: int, offsets: tuple[int, ...], width: int, height: int, side: int
) -> None:
    expected = set().union(*(by_loops(window, stride, offset, width, height) for offset in offsets))
    found = owned(Grid(window, stride, offsets), width, height, side)
    assert len(found) == len(expected)
    assert set(found) == expected


def test_windows_of_a_block_come_in_raster_order() -> None:
    found = Block(128, 0, 256).origins(Grid(80, 50, (0, 25, 10)), 1000, 1000).tolist()
    assert found == sorted(found, key=lambda xy: (xy[1], xy[0]))


def split_mix(z: int) -> int:
    """The finaliser of SplitMix64 in Python's own integers."""
    z = (z + 0x9E3779B97F4A7C15) % 2**64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
    return z ^ (z >> 31)


def moved_by_hand(window: int, stride: int, jitter: int, width: int, height: int, key: int) -> list[tuple[int, int]]:
    """One place after the other."""
    found = []
    for y, x in product(range(0, height - window + 1, stride), range(0, width - window + 1, stride)):
        draw = split_mix((x << 32 | y) ^ key)
        right, down = ((half % (2 * jitter + 1)) - jitter for half in (draw >> 32, draw % 2**32))
        found.append((min(max(x + right, 0), width - window), min(max(y + down, 0), height - window)))
    return found


@pytest.mark.parametrize("side", [80, 97, 256, 5000])
def test_jitter_does_not_depend_on_the_side_of_blocks(side: int) -> None:
    key = jitter_key("slide", 1)
    expected = moved_by_hand(80, 50, 24, 1010, 733, key)
    found = owned(Grid(80, 50, jitter=24, key=key), 1010, 733, side)
    assert sorted(found) == sorted(expected)
    assert len(set(found)) == len(expected)  # no two windows meet
    assert all(0 <= x <= 1010 - 80 and 0 <= y <= 733 - 80 for x, y in found)


def test_jitter_keeps_the_order_of_places_and_stays_within_reach() -> None:
    still, moving = Grid(80, 50), Grid(80, 50, jitter=20, key=jitter_key("slide", 1))
    block = Block(512, 512, 512)
    steps = block.origins(moving, 4096, 4096) - block.origins(still, 4096, 4096)
    assert np.abs(steps).max() <= 20


def test_jitter_is_even_in_both_directions_and_of_each_slide_its_own() -> None:
    still = Grid(80, 50)
    places = Block(0, 0, 40_000).origins(still, 40_000, 40_000)[10_000:]
    inner = places[(places > 100).all(axis=1) & (places < 39_000).all(axis=1)]
    steps = Grid(80, 50, jitter=8, key=jitter_key("a", 1)).moved(inner, 40_000, 40_000) - inner
    for axis in (0, 1):
        values, counts = np.unique(steps[:, axis], return_counts=True)
        assert values.tolist() == list(range(-8, 9))
        assert np.allclose(counts / len(inner), 1 / 17, atol=0.002)
    assert abs(np.corrcoef(steps.T)[0, 1]) < 0.01
    others = [Grid(80, 50, jitter=8, key=jitter_key(*who)).moved(inner, 40_000, 40_000) for who in (("b", 1), ("a", 2))]
    assert all(np.mean((other - inner == steps).all(axis=1)) < 0.01 for other in others)


def test_jitter_is_the_same_in_another_process() -> None:
    code = (
        "from preprocessing.grid import Block, Grid, jitter_key\n"
        "print(Block(0, 0, 400).origins(Grid(80, 50, jitter=24, key=jitter_key('s', 3)), 900, 900).tolist())"
    )
    said = subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": "7"}, capture_output=True, check=True)
    here = Block(0, 0, 400).origins(Grid(80, 50, jitter=24, key=jitter_key("s", 3)), 900, 900).tolist()
    assert said.stdout.decode().strip() == str(here)


def test_slide_smaller_than_a_window_has_no_units() -> None:
    assert count_shards(Grid(80, 50), 79, 500, 512, 8) == 0
    assert list(blocks(Grid(80, 50), 79, 500, 512)) == []
    with pytest.raises(IndexError, match="unit 0 of a slide of 0 units"):
        shard_blocks(0, Grid(80, 50), 79, 500, 512, 8)


@pytest.mark.parametrize(
    ("count", "shape"), [(1, (1, 1)), (2, (2, 1)), (3, (3, 1)), (4, (2, 2)), (8, (4, 2)), (12, (4, 3)), (36, (6, 6))]
)
def test_units_are_as_square_as_they_can_be(count: int, shape: tuple[int, int]) -> None:
    assert unit_shape(count) == shape


@pytest.mark.parametrize("per_unit", [1, 3, 6, 8, 400])
@pytest.mark.parametrize(("width", "height"), [(10_000, 7_000), (700, 9_000), (9_000, 81), (591, 592)])
def test_units_are_rectangles_of_neighbors_that_hold_each_block_once(per_unit: int, width: int, height: int) -> None:
    grid, side = Grid(80, 50), 512
    corners = {(x, y) for y in range(0, height - 79, side) for x in range(0, width - 79, side)}
    held = []
    assert {(block.x, block.y) for block in blocks(grid, width, height, side)} == corners
    firsts = []
    for unit in range(count_shards(grid, width, height, side, per_unit)):
        mine = [(block.x, block.y) for block in shard_blocks(unit, grid, width, height, side, per_unit)]
        xs, ys = sorted({x for x, _ in mine}), sorted({y for _, y in mine})
        assert mine == [(x, y) for y in ys for x in xs]  # a whole rectangle, in raster order
        assert np.all(np.diff(xs) == side)
        assert np.all(np.diff(ys) == side)
        assert 1 <= len(mine) <= per_unit
        firsts.append((mine[0][1], mine[0][0]))
        held += mine
    assert len(held) == len(corners)
    assert set(held) == corners
    assert firsts == sorted(firsts)


def test_a_header_that_claims_a_monstrous_slide_costs_nothing() -> None:
    grid = Grid(80, 50, (0, 25))
    tracemalloc.start()
    units = count_shards(grid, 2_000_000_000, 2_000_000_000, 2048, 8)
    last = shard_blocks(units - 1, grid, 2_000_000_000, 2_000_000_000, 2048, 8)
    origins = last[-1].origins(grid, 2_000_000_000, 2_000_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    columns = math.ceil((2_000_000_000 - 79) / 2048)
    assert units == math.ceil(columns / 4) * math.ceil(columns / 2)
    assert origins.max() <= 2_000_000_000 - 80
    assert peak < 2_000_000


@pytest.mark.parametrize("window", [80, 299])
@pytest.mark.parametrize(("scale_0", "scale_k"), [(4.0, 8.0), (1.0, 2.0005), (2.0, 4.016)])
def test_scales_share_the_center(window: int, scale_0: float, scale_k: float) -> None:
    origins = np.array([[0, 0], [50, 13], [1234, 777]], np.int32)
    found = scale_origins(origins, window, scale_0, scale_k)
    for (x, y), (left, top) in zip(origins.tolist(), found.tolist(), strict=True):
        assert left == math.floor((x + window / 2) * scale_0 / scale_k) - window // 2
        assert top == math.floor((y + window / 2) * scale_0 / scale_k) - window // 2


def test_at_scale_0_a_window_stays_where_it_is() -> None:
    origins = np.array([[3, 4], [100, 7]], np.int32)
    assert np.array_equal(scale_origins(origins, 299, 2.0, 2.0), origins)
