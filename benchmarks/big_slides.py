"""The slides that the benchmarks run on, drawn once and kept in a folder.

    python -m benchmarks.big_slides --cache FOLDER

Big ones of 16384 px with tissue on about half of them; sparse ones of 1 and of 10 gigapixels, whose glass shares its
bytes; many small ones. All are 256 px JPEG tiles of quality 85, 0.25 um per pixel, each level half of the one above.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from time import perf_counter

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.tiled_tiff import Level, Place, TiledTiff
from histospark.drawing import draw_slide
from histospark.drawing.big import (
    CELL,
    TILE,
    TILED_LEVELS,
    Cell,
    Library,
    draw_library,
    encode_tiles,
    lay,
    lesions_of,
    outline_of,
)
from histospark.drawing.files import MPP, halve, replacing, write_annotation
from histospark.drawing.planes import Polygon
from preprocessing.hashing import stable_hash

BIG = 16384
SPARSE = {"1 gigapixel": (32768, 0.6), "10 gigapixels": (100352, 0.1)}
"""Side in pixels and share of tissue: the larger one is mostly glass, but full units of work are in both."""
_SMALLEST_LEVEL = 512

_library = cache(partial(draw_library, 1))  # 200 MB, drawn only where a slide is missing


@dataclass(frozen=True)
class Slides:
    """Drawn slides by kind; what is not there yet is drawn.

    Attributes:
        cache: folder that keeps them.
    """

    cache: Path

    def big(self, count: int) -> list[Path]:
        """Slides of 16384 px, about half tissue, each with its lesions as ASAP XML beside it."""
        return [self._one(f"big_{number}", BIG, 0.5, is_shared=False) for number in range(1, count + 1)]

    def sparse(self, name: str) -> Path:
        """A slide of `SPARSE`."""
        side, share = SPARSE[name]
        return self._one(f"sparse_{side}_{share:.1f}", side, share, is_shared=True)

    def tiny(self, count: int) -> list[Path]:
        """Slides of 512 px, for measuring start-up."""
        return self.small(count, "tiny")

    def small(self, count: int, folder: str = "small") -> list[Path]:
        """Slides of 512 px: four drawn ones, linked under many names."""
        place = self.cache / folder
        drawn = [draw_slide(self.cache / "models", f"small_{k}", seed=k, side=512, lesions=0).path for k in range(4)]
        place.mkdir(parents=True, exist_ok=True)
        paths = [place / f"slide_{number:05d}.tif" for number in range(count)]
        for number, path in enumerate(paths):
            if not path.exists():
                os.link(drawn[number % len(drawn)], path)
        for stale in set(place.glob("*.tif")) - set(paths):
            stale.unlink()
        return paths

    def _one(self, name: str, side: int, share: float, *, is_shared: bool) -> Path:
        path = self.cache / "slides" / f"{name}.tif"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_big_slide(path, _library(), np.random.default_rng(stable_hash(name)), side, share, is_shared)
        return path


def with_annotations(slides: Sequence[Path]) -> list[Path]:
    """The slides and the annotations that stand beside them."""
    beside = [slide.with_suffix(".xml") for slide in slides]
    return [*slides, *(annotation for annotation in beside if annotation.exists())]


def write_big_slide(
    path: Path, library: Library, rng: np.random.Generator, side: int, share: float, is_shared: bool
) -> None:
    """Write one slide and, where it has lesions, its annotation.

    Memory: the offsets of the tiles, and level 4 of the slide (3 bytes for 256 of its level-0 pixels).

    Args:
        path: the TIFF to write; the XML gets its name.
        library: motifs.
        rng: source of chance.
        side: width and height, a multiple of `CELL`.
        share: of tissue.
        is_shared: tiles of equal content share their bytes, which makes a slide of any size small.
    """
    with replacing(path) as part, part.open("wb") as file, TiledTiff(file, TILE) as tiff:
        grids = [np.empty((side // (TILE << k),) * 2, dtype=object) for k in range(TILED_LEVELS)]
        coarse = np.empty((side >> TILED_LEVELS, side >> TILED_LEVELS, 3), np.uint8)
        shared: dict[int, list[list[Place]]] = {}
        lesions: list[Polygon] = []
        for cell in lay(rng, library, outline_of(rng, side, share), side):
            key = id(cell.motif)
            places = shared.get(key) or [[tiff.put(tile) for tile in level] for level in cell.motif.tiles]
            if is_shared and not cell.is_drawn:
                shared[key] = places
            _place(cell, places, grids, coarse)
            lesions += lesions_of([cell])
        tiff.finish(_levels(tiff, side, grids, coarse))
        if lesions:
            write_annotation(path.with_suffix(".xml"), lesions, ())


def _place(
    cell: Cell, places: Sequence[Sequence[Place]], grids: Sequence[NDArray[np.object_]], coarse: NDArray[np.uint8]
) -> None:
    for k, (grid, here) in enumerate(zip(grids, places, strict=True)):
        side = CELL // (TILE << k)
        block = grid[cell.row * side : (cell.row + 1) * side, cell.column * side : (cell.column + 1) * side]
        for number, place in enumerate(here):
            block[number // side, number % side] = place
    side = CELL >> TILED_LEVELS
    coarse[cell.row * side : (cell.row + 1) * side, cell.column * side : (cell.column + 1) * side] = cell.motif.coarse


def _levels(tiff: TiledTiff, side: int, grids: Sequence[NDArray[np.object_]], coarse: NDArray[np.uint8]) -> list[Level]:
    levels = [Level(side >> k, side >> k, MPP * 2**k, list(grid.ravel())) for k, grid in enumerate(grids)]
    image = coarse
    while True:
        k = len(levels)
        levels.append(Level(side >> k, side >> k, MPP * 2**k, [tiff.put(tile) for tile in encode_tiles(image)]))
        if len(image) <= _SMALLEST_LEVEL:
            return levels
        image = halve(image)


@click.command()
@click.option("--cache", type=click.Path(path_type=Path), required=True, help="Folder that keeps the slides.")
def main(cache: Path) -> None:
    """Draw all slides that the benchmarks need."""
    slides = Slides(cache)
    for what, draw in (
        ("eight of 16384 px", lambda: slides.big(8)),
        *((name, partial(slides.sparse, name)) for name in SPARSE),
        ("1,000 small ones", lambda: slides.small(1000)),
    ):
        started = perf_counter()
        draw()
        click.echo(f"{what}: {perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
