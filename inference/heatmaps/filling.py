"""From the shards of a slide's predictions to its cells, a bounded part at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cluster.storage import Store
from inference.heatmaps.cells import CellGrid, CellMap
from inference.heatmaps.overlap import Overlap, judge_cells, signed
from inference.heatmaps.tile_store import TileStore
from preprocessing.scales import SlideScale
from preprocessing.tiling_settings import Tiling

_COLUMNS = ("x", "y", "probability", "tissue_fraction")
_ROWS = 1 << 15  # at a time


@contextmanager
def opened_cells(store: Store, folder: str, tiling: Tiling, finest: SlideScale, overlap: Overlap) -> Iterator[CellMap]:
    """The cells of a slide, as long as needed.

    Args:
        store: where the predictions lie.
        folder: of the slide, below it.
        tiling: of the prediction recipe.
        finest: scale 0 of the slide.
        overlap: what a cell's probability is.

    Yields:
        The cells. Memory: two tile stores while they are filled, one after that, and a part of a shard.

    Raises:
        ScratchError: no space for them on this machine.
    """
    grid = CellGrid.of(tiling, finest)
    with TileStore(grid.rows, grid.columns) as cells:
        with TileStore(grid.rows, grid.columns) as windows:
            for part in prediction_parts(store, folder):
                fill(windows, grid, part, tiling.window * finest.downsample)
            judge_cells(windows, cells, overlap, tiling.window, tiling.stride)
        yield CellMap(grid, cells)


def prediction_parts(store: Store, folder: str) -> Iterator[pa.RecordBatch]:
    """The predictions of a slide: neighbors together, as each shard is a rectangle; some thousand rows each."""
    for path in store.files(folder):
        with store.fs.open(path, "rb") as file:
            yield from pq.ParquetFile(file).iter_batches(_ROWS, columns=list(_COLUMNS), use_threads=False)


def fill(windows: TileStore, grid: CellGrid, part: pa.RecordBatch, side: float) -> None:
    """Put windows on their grid, signed as `overlap` has it.

    Args:
        windows: of the size of the grid.
        grid: where they go.
        part: columns x, y, probability, tissue_fraction.
        side: of a window, level-0 pixels.
    """
    x, y, probability, tissue = (part.column(name).to_numpy() for name in _COLUMNS)
    rows, columns = grid.indices(np.stack([x, y], axis=1), side)
    windows.set_cells(rows, columns, signed(probability, tissue))
