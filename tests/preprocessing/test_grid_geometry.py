"""Windows lie on the grid and inside the slide; blocks share them out, each to one; scales share a center."""

import math

import numpy as np
import pytest

from preprocessing.grid import Grid, blocks, scale_origins, shards

CASES = [
    (80, 50, 0, 1280, 1280, 512),
    (80, 25, 13, 333, 250, 100),
    (64, 128, 0, 700, 700, 128),
    (80, 50, 0, 80, 80, 80),
]


@pytest.mark.parametrize(("window", "stride", "offset", "width", "height", "side"), CASES)
def test_blocks_own_every_window_exactly_once(
    window: int, stride: int, offset: int, width: int, height: int, side: int
) -> None:
    grid = Grid(window, stride, offset)
    expected = {
        (x, y) for y in range(offset, height - window + 1, stride) for x in range(offset, width - window + 1, stride)
    }
    owned = [tuple(xy) for block in blocks(grid, width, height, side) for xy in block.origins(grid, width, height)]
    assert len(owned) == len(expected)
    assert set(owned) == expected


def test_slide_smaller_than_a_window_has_no_blocks() -> None:
    assert blocks(Grid(80, 50), 79, 500, 512) == []


def test_shards_deal_each_block_once_and_mix_places() -> None:
    every = blocks(Grid(80, 50), 10_000, 10_000, 512)
    dealt = shards(every, "slide", "recipe", 8)
    assert sorted((b.y, b.x) for shard in dealt for b in shard) == sorted((b.y, b.x) for b in every)
    assert max(map(len, dealt)) == 8
    spread = [np.ptp([block.y for block in shard]) for shard in dealt[:-1]]
    assert np.mean(spread) > 5_000  # of 10,000: not one neighborhood
    assert shards(every, "slide", "recipe", 8) == dealt
    assert shards(every, "other", "recipe", 8) != dealt


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
