"""Big drawn slides are laid of squares that fit: whole tiles, true averages at every level, lesions in their places."""

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

from histospark.drawing.big import (
    CELL,
    TILE,
    TILED_LEVELS,
    Library,
    Motif,
    encode_tiles,
    lay,
    lesions_of,
    motif_of,
    outline_of,
)

SIDE = 4 * CELL


def plain(gray: int, lesions: int = 0) -> Motif:
    """A square of one gray, told apart by it."""
    square = np.array([[10.0, 20.0], [50.0, 20.0], [50.0, 60.0]])
    return motif_of(np.full((CELL, CELL, 3), gray, np.uint8), (square,) * lesions)


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(plain(240), (plain(100), plain(110, lesions=2)))


def decoded(tiles: tuple[bytes, ...], columns: int) -> NDArray[np.uint8]:
    rows = [
        np.hstack([simplejpeg.decode_jpeg(tile) for tile in tiles[start : start + columns]])
        for start in range(0, len(tiles), columns)
    ]
    return np.vstack(rows)


def test_each_level_of_a_square_is_the_average_of_the_one_above() -> None:
    rng = np.random.default_rng(1)
    coarse = rng.integers(60, 200, (CELL // 64, CELL // 64, 1), dtype=np.uint8)
    pixels = np.kron(coarse, np.ones((64, 64, 3), np.uint8)).astype(np.uint8)  # gray squares: no chroma to be lost
    motif = motif_of(pixels)
    for level, tiles in enumerate(motif.tiles):
        side = CELL >> level
        seen = decoded(tiles, side // TILE)
        assert seen.shape == (side, side, 3)
        step = 1 << level
        expected = pixels.reshape(side, step, side, step, 3).mean(axis=(1, 3))
        assert np.abs(seen - expected).mean() < 3  # what quality 85 loses
    assert motif.coarse.shape == (CELL >> TILED_LEVELS, CELL >> TILED_LEVELS, 3)


def test_tiles_at_the_rim_are_filled_up() -> None:
    tiles = encode_tiles(np.full((300, 500, 3), 200, np.uint8))
    assert len(tiles) == 4
    assert all(simplejpeg.decode_jpeg(tile).shape == (TILE, TILE, 3) for tile in tiles)
    assert np.abs(simplejpeg.decode_jpeg(tiles[3]).astype(int) - 200).max() <= 2


def test_squares_are_tissue_inside_the_outline_and_glass_outside(library: Library) -> None:
    outline = np.array([[CELL + 500.0, 300.0], [SIDE, 300.0], [SIDE, SIDE], [CELL + 500.0, SIDE]])
    cells = list(lay(np.random.default_rng(3), library, outline, SIDE))
    assert [(cell.column, cell.row) for cell in cells] == [(x, y) for y in range(4) for x in range(4)]
    for cell in cells:
        if cell.column == 0:
            assert cell.motif is library.glass
        elif cell.column > 1 and 0 < cell.row < 3:
            assert cell.motif in library.tissue
            assert not cell.is_drawn
        elif cell.column == 1 and cell.row in {1, 2}:
            assert cell.is_drawn
            left, right = cell.motif.pixels[1024, 200, 0], cell.motif.pixels[1024, 1200, 0]
            assert (left, right) == (240, 100)


def test_lesions_lie_where_their_squares_lie_and_never_in_a_square_cut_by_the_outline(library: Library) -> None:
    outline = outline_of(np.random.default_rng(5), SIDE, 0.5)
    cells = list(lay(np.random.default_rng(6), library, outline, SIDE))
    with_lesions = [cell for cell in cells if cell.motif.lesions]
    assert with_lesions
    assert not any(cell.is_drawn for cell in with_lesions)
    corners = [lesion.min(axis=0).tolist() for lesion in lesions_of(cells)]
    expected = [[cell.column * CELL + 10, cell.row * CELL + 20] for cell in with_lesions for _ in range(2)]
    assert corners == expected


def test_the_outline_has_the_wanted_share_of_the_slide() -> None:
    outline = outline_of(np.random.default_rng(7), SIDE, 0.5)
    x, y = outline.T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    assert area / SIDE**2 == pytest.approx(0.5, abs=0.02)


def test_a_side_that_squares_do_not_fill_is_refused(library: Library) -> None:
    outline = outline_of(np.random.default_rng(8), 3000, 0.5)
    with pytest.raises(ValueError, match="multiple of 2048, not 3000"):
        list(lay(np.random.default_rng(8), library, outline, 3000))
