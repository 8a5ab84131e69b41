"""Big drawn slides, quickly: a carpet of a few drawn squares of tissue, cut out along a smooth outline.

Drawing every pixel of a large slide anew would take minutes. Here a handful of squares (motifs) is drawn once;
wherever a square of the slide lies wholly in tissue or wholly on glass, its JPEG tiles are those of a motif, encoded
once. Only squares at the rim of the tissue are painted by themselves. Seams between motifs are hard.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from histospark.drawing.files import halve
from histospark.drawing.planes import Polygon, inside
from histospark.drawing.shapes import Plan, blob, plan
from histospark.drawing.stain import Stain, develop, draw_stain
from histospark.drawing.tissue import eosin, hematoxylin, soften, zones

CELL = 2048
"""Side of a motif, level-0 pixels."""

TILE = 256
"""Side of a JPEG tile at every level, pixels."""

TILED_LEVELS = 4
"""Levels of a motif that whole tiles cover; the next coarser one is kept as pixels."""

_MARGIN = 256  # drawn around a motif and cut off, since tissue looks different at the edge of a drawing
_LESIONS = (2, 0, 0, 1, 0, 0)  # of each motif
_QUALITY = 85


@dataclass(frozen=True, eq=False)
class Motif:
    """A square of a slide with the upper part of its pyramid.

    Attributes:
        tiles: JPEG tiles of levels 0 to 3 in raster order; 64, 16, 4 and 1.
        coarse: (128, 128, 3) uint8, the square at level 4.
        pixels: (2048, 2048, 3) uint8 at level 0.
        lesions: tumor polygons, level-0 pixels of the square.
    """

    tiles: tuple[tuple[bytes, ...], ...]
    coarse: NDArray[np.uint8]
    pixels: NDArray[np.uint8]
    lesions: tuple[Polygon, ...] = ()


@dataclass(frozen=True, eq=False)
class Library:
    """The motifs of a set of slides, all in one stain.

    Attributes:
        glass: without tissue.
        tissue: all tissue, some with lesions.
    """

    glass: Motif
    tissue: tuple[Motif, ...]


@dataclass(frozen=True, eq=False)
class Cell:
    """One square of a big slide.

    Attributes:
        column, row: place, counted in squares of `CELL` pixels.
        motif: what stands there.
        is_drawn: it was painted for this place, and no other square looks like it.
    """

    column: int
    row: int
    motif: Motif
    is_drawn: bool


def draw_library(seed: int) -> Library:
    """Draw the motifs; the same seed gives the same bytes. Takes about 15 s and 700 MB.

    Args:
        seed: source of all chance.
    """
    for_stain, for_glass, *for_motifs = np.random.default_rng(seed).spawn(2 + len(_LESIONS))
    stain = draw_stain(for_stain)
    nothing = [(np.zeros((CELL, CELL), np.float32), stain.eosin)]
    glass = motif_of(develop(for_glass, stain, nothing))
    drawn = (_draw_tissue(rng, stain, lesions) for rng, lesions in zip(for_motifs, _LESIONS, strict=True))
    return Library(glass, tuple(drawn))


def _draw_tissue(rng: np.random.Generator, stain: Stain, lesions: int) -> Motif:
    for_plan, for_zones, for_eosin, for_nuclei, for_light = rng.spawn(5)
    side = CELL + 2 * _MARGIN
    placed = plan(for_plan, CELL, lesions, 0).lesions
    shifted = tuple(lesion + _MARGIN for lesion in placed)
    everywhere = np.array([[-1, -1], [2, -1], [2, 2], [-1, 2]], np.float64) * side
    where = zones(for_zones, Plan(side, (everywhere,), shifted, ()))
    layers = [(hematoxylin(for_nuclei, where), stain.hematoxylin), (eosin(for_eosin, where), stain.eosin)]
    image = develop(for_light, stain, layers)
    return motif_of(np.ascontiguousarray(image[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]), placed)


def motif_of(pixels: NDArray[np.uint8], lesions: tuple[Polygon, ...] = ()) -> Motif:
    """Encode a square and its upper pyramid.

    Args:
        pixels: (2048, 2048, 3) uint8 RGB.
        lesions: tumor in it.
    """
    tiles, level = [], pixels
    for _ in range(TILED_LEVELS):
        tiles.append(encode_tiles(level))
        level = halve(level)
    return Motif(tuple(tiles), level, pixels, lesions)


def encode_tiles(image: NDArray[np.uint8]) -> tuple[bytes, ...]:
    """Cut an image into JPEG tiles in raster order, the last ones filled up with the pixels at the rim.

    Args:
        image: (h, w, 3) uint8 RGB.
    """
    height, width, _ = image.shape
    padded = np.pad(image, ((0, -height % TILE), (0, -width % TILE), (0, 0)), mode="edge")
    return tuple(
        simplejpeg.encode_jpeg(np.ascontiguousarray(padded[y : y + TILE, x : x + TILE]), _QUALITY, "RGB", "420")
        for y in range(0, height, TILE)
        for x in range(0, width, TILE)
    )


def outline_of(rng: np.random.Generator, side: int, share: float) -> Polygon:
    """One piece of tissue in the middle of a slide.

    Args:
        rng: source of chance.
        side: of the slide, pixels.
        share: of the slide's area that is tissue, at most about 0.5.

    Returns:
        Its outline, level-0 pixels.
    """
    outline: Polygon = blob(rng, side * float(np.sqrt(share / np.pi)), 0.07, 360) + side * rng.uniform(0.48, 0.52, 2)
    return np.clip(outline, 0.01 * side, 0.99 * side)


def lay(rng: np.random.Generator, library: Library, outline: Polygon, side: int) -> Iterator[Cell]:
    """Lay the squares of a slide, row by row; lesions only come where the whole square is tissue.

    Args:
        rng: source of chance.
        library: what there is to lay.
        outline: of the tissue, level-0 pixels.
        side: of the slide, a multiple of `CELL`.

    Yields:
        (side / CELL) ** 2 cells. Memory: one of them.

    Raises:
        ValueError: side is no multiple of `CELL`.
    """
    if side <= 0 or side % CELL:
        raise ValueError(f"the side of a big slide is a multiple of {CELL}, not {side}")
    count = side // CELL
    normal = [motif for motif in library.tissue if not motif.lesions]
    share = _coverage(outline, side)
    for row in range(count):
        for column in range(count):
            any_tissue, any_normal = (int(rng.integers(len(choice))) for choice in (library.tissue, normal))
            if share[row, column] == 0:
                yield Cell(column, row, library.glass, is_drawn=False)
            elif share[row, column] == 1:
                yield Cell(column, row, library.tissue[any_tissue], is_drawn=False)
            else:
                here = [outline - np.array([column, row]) * CELL]
                yield Cell(column, row, _blend(library.glass, normal[any_normal], here), is_drawn=True)


def lesions_of(cells: Sequence[Cell]) -> tuple[Polygon, ...]:
    """The lesions of laid cells, level-0 pixels of the slide."""
    return tuple(lesion + np.array([cell.column, cell.row]) * CELL for cell in cells for lesion in cell.motif.lesions)


def _coverage(outline: Polygon, side: int) -> NDArray[np.float64]:
    """Share of tissue of every cell, judged on squares of 64 px and one more around, so that 0 and 1 are sure."""
    level, step = 6, CELL >> 6
    mask = inside([outline], side, level)
    grown = np.pad(mask, 1, mode="edge")
    count = side // CELL
    share = np.empty((count, count))
    for row, column in np.ndindex(count, count):
        share[row, column] = grown[row * step : (row + 1) * step + 2, column * step : (column + 1) * step + 2].mean()
    return share


def _blend(glass: Motif, tissue: Motif, outline: Sequence[Polygon]) -> Motif:
    weight = np.rint(soften(inside(outline, CELL), CELL) * 255).astype(np.uint16)[..., None]
    mixed = (tissue.pixels * weight + glass.pixels * (255 - weight) + 127) // 255
    return motif_of(mixed.astype(np.uint8))
