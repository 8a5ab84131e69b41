"""The areas at or above the threshold as GeoJSON polygons, as QuPath imports them as annotations."""

import json
import math
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from rasterio.features import shapes
from rasterio.transform import Affine
from rasterio.windows import Window

from inference.heatmaps.cells import CellGrid, CellMap
from inference.heatmaps.components import Area, Cell, connected_areas
from inference.heatmaps.scratch import scratch_errors
from inference.heatmaps.tile_store import SIDE, TileStore

MOST_CELLS: Final = 4096
"""Along a side of what is outlined; slides of more cells are outlined in coarser ones, each with its highest."""
CLASSIFICATION: Final = "Tumor"

_GDAL_MEGABYTES = 16


def write_polygons(path: Path, cells: CellMap, threshold: float, mpp: float | None) -> int:
    """Write the areas of cells at or above the threshold as a feature collection in level-0 pixels.

    Cells that meet along an edge are one area, those that meet at a corner are two; holes are kept. Each feature has
    the properties that QuPath reads (objectType, classification, measurements).

    Args:
        path: local file to write.
        cells: probabilities.
        threshold: least one of a cell.
        mpp: micrometers per level-0 pixel; without it there is no measurement of the area.

    Returns:
        How many. Memory: some tiles, and about 500 bytes an area and 100 bytes a corner; at most `MOST_CELLS` by
        `MOST_CELLS` cells are outlined, whatever the size of the slide.

    Raises:
        ScratchError: no space for it on this machine.
    """
    factor = math.ceil(max(cells.grid.rows, cells.grid.columns, 1) / MOST_CELLS)
    count = 0
    with _coarser(cells, factor) as shown, scratch_errors(), path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for count, feature in enumerate(_features(shown, threshold, mpp), 1):
            file.write(("" if count == 1 else ",") + "\n" + json.dumps(feature))
        file.write("\n]}\n")
    return count


@contextmanager
def _coarser(cells: CellMap, factor: int) -> Iterator[CellMap]:
    if factor == 1:
        yield cells
        return
    grid = cells.grid.coarser(factor)
    with TileStore(grid.rows, grid.columns) as store:
        for row, column, block in cells.coarse_blocks(factor):
            store.raise_to(row, column, block)
        yield CellMap(grid, store)


def _features(cells: CellMap, threshold: float, mpp: float | None) -> Iterator[dict[str, Any]]:
    areas = connected_areas(cells, threshold)
    if not areas:
        return
    for rings in _outlines(cells, threshold):
        area = areas[_first_cell(rings[0], cells.grid)]
        corners = [[[round(x, 3), round(y, 3)] for x, y in ring] for ring in rings]
        yield {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": corners},
            "properties": {
                "objectType": "annotation",
                "classification": {"name": CLASSIFICATION},
                "measurements": _measurements(area, cells.grid.step, mpp),
            },
        }


def _measurements(area: Area, step: float, mpp: float | None) -> dict[str, float]:
    measured = {"probability max": round(area.highest, 6), "probability mean": round(area.mean, 6)}
    if mpp is not None:
        measured["area mm2"] = area.cells * (step * mpp / 1000) ** 2
    return measured


def _outlines(cells: CellMap, threshold: float) -> Iterator[list[list[tuple[float, float]]]]:
    """Rings of each area, the outer one first, level-0 pixels. GDAL reads the raster from a file, line by line."""
    with tempfile.TemporaryDirectory(prefix="histospark-") as folder, rasterio.Env(GDAL_CACHEMAX=_GDAL_MEGABYTES):
        path = Path(folder) / "above.tif"
        _write_raster(path, cells, threshold)
        with rasterio.open(path) as raster:
            band = rasterio.band(raster, 1)
            for shape, _ in shapes(band, mask=band, connectivity=4):
                yield shape["coordinates"]


def _write_raster(path: Path, cells: CellMap, threshold: float) -> None:
    """Write which cells are at or above the threshold, 1 or 0; tiles that are left out are 0."""
    rows, columns = cells.grid.rows, cells.grid.columns
    (left, top), step = cells.grid.corner, cells.grid.step
    profile = {"driver": "GTiff", "width": columns, "height": rows, "count": 1, "dtype": "uint8", "sparse_ok": True}
    profile["transform"] = Affine(step, 0, left, 0, step, top)
    with rasterio.open(path, "w", **profile, tiled=True, blockxsize=SIDE, blockysize=SIDE) as raster:
        for row, column, tile in cells.tiles():
            above = tile[: rows - row, : columns - column] >= np.float32(threshold)
            if above.any():
                raster.write(above.astype(np.uint8), 1, window=Window(column, row, above.shape[1], above.shape[0]))


def _first_cell(ring: Iterable[tuple[float, float]], grid: CellGrid) -> Cell:
    """The first cell in raster order of what an outer ring encloses: its top edge's left end is that cell's corner."""
    y, x = min((y, x) for x, y in ring)
    left, top = grid.corner
    return round((y - top) / grid.step), round((x - left) / grid.step)
