"""A store of tiles is an array of any size of which only a few tiles are in memory."""

import numpy as np
import pytest

from inference.heatmaps import scratch, tile_store
from inference.heatmaps.scratch import ScratchError
from inference.heatmaps.tile_store import HELD, SIDE, TileStore


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tiles in memory, so that all others have to come back from the disk."""
    monkeypatch.setattr(tile_store, "HELD", 2)


@pytest.mark.usefixtures("narrow")
def test_it_answers_as_one_array_would() -> None:
    rng = np.random.default_rng(1)
    rows, columns = 3 * SIDE + 17, 2 * SIDE + 1
    whole = np.full((rows, columns), np.nan, np.float32)
    with TileStore(rows, columns) as store:
        for _ in range(60):
            if rng.random() < 0.5:
                down, across = rng.integers(0, rows, 50), rng.integers(0, columns, 50)
                values = rng.random(50).astype(np.float32)
                whole[down, across] = values
                store.set_cells(down, across, values)
            else:
                row, column = rng.integers(0, rows), rng.integers(0, columns)
                block = rng.random((rng.integers(1, 2 * SIDE), rng.integers(1, 2 * SIDE))).astype(np.float32)
                block[rng.random(block.shape) < 0.5] = np.nan
                block = block[: rows - row, : columns - column]
                part = whole[row : row + block.shape[0], column : column + block.shape[1]]
                np.fmax(part, block, out=part)
                store.raise_to(int(row), int(column), block)
            assert store.held <= 2
        framed = np.pad(whole, SIDE, constant_values=np.nan)
        for _ in range(30):
            row, column = int(rng.integers(-SIDE, rows)), int(rng.integers(-SIDE, columns))
            height, width = int(rng.integers(1, SIDE)), int(rng.integers(1, SIDE))
            wanted = framed[row + SIDE : row + SIDE + height, column + SIDE : column + SIDE + width]
            np.testing.assert_array_equal(store.region(row, column, height, width), wanted)
        np.testing.assert_array_equal(store.region(0, 0, rows, columns), whole)


def test_it_never_holds_more_tiles_however_large_the_grid() -> None:
    """A grid of a million tiles: what is not touched takes nothing, what is touched goes to the disk."""
    with TileStore(1000 * SIDE, 1000 * SIDE) as store:
        for number in range(3 * HELD):
            place = np.array([number * 20 * SIDE])
            store.set_cells(place, place, np.array([number / 100], np.float32))
            assert store.held <= HELD
        assert store.tiles == 3 * HELD
        assert store.places() == [(number * 20, number * 20) for number in range(3 * HELD)]
        for number in range(3 * HELD):
            start = number * 20 * SIDE
            found = store.region(start - 1, start - 1, 3, 3)
            assert found[1, 1] == np.float32(number / 100)
            assert np.isnan(found).sum() == 8
        assert store.tile((1, 1)) is None


@pytest.mark.usefixtures("narrow")
def test_a_full_disk_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with TileStore(3 * SIDE, SIDE) as store:
        monkeypatch.setattr(scratch.os, "pwrite", full)
        with pytest.raises(ScratchError, match=r"No space left.*TMPDIR"):
            store.set_cells(np.array([0, SIDE, 2 * SIDE]), np.zeros(3, int), np.zeros(3, np.float32))
