"""A direct reader that is wrong anywhere in a level, in whatever way, is found; and the proof decodes few tiles."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from preprocessing.readers import direct_reader
from preprocessing.readers.direct_reader import DirectReader
from preprocessing.readers.openslide_reader import OpenSlideReader
from preprocessing.readers.proof import REGION, equals_openslide
from tests.preprocessing.readers.making import texture, write_pyramid

LEVELS = 3
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three levels of 7x6, 4x3 and 2x2 tiles of 256 px, those at the rims cut by the slide's end."""
    folder = tmp_path_factory.mktemp("pyramid")
    return write_pyramid(folder / "slide.tif", texture(1500, 1700), levels=LEVELS, tile=256)


def one_gray_level(tile: Pixels) -> None:
    tile[..., 1] ^= 1


def right_by_one(tile: Pixels) -> None:
    tile[:] = np.roll(tile, 1, axis=1)


def down_by_one(tile: Pixels) -> None:
    tile[:] = np.roll(tile, 1, axis=0)


def mirrored(tile: Pixels) -> None:
    tile[:] = tile[:, ::-1].copy()


def colors_swapped(tile: Pixels) -> None:
    tile[:] = tile[..., ::-1].copy()


def first_row(tile: Pixels) -> None:
    tile[0] ^= 1


def last_row(tile: Pixels) -> None:
    tile[-1] ^= 1


def first_column(tile: Pixels) -> None:
    tile[:, 0] ^= 1


def last_column(tile: Pixels) -> None:
    tile[:, -1] ^= 1


WRONG = [one_gray_level, right_by_one, down_by_one, mirrored, colors_swapped]
RIMS = [first_row, last_row, first_column, last_column]


class WrongPixels(DirectReader):
    """Decodes all tiles of one level wrongly."""

    def __init__(self, path: Path, level: int, spoil: Callable[[Pixels], None]) -> None:
        super().__init__(str(path))
        self.wrong_level, self.spoil = level, spoil

    def _decode(self, stored: bytes, tile: Pixels, level: int, column: int, row: int) -> None:
        super()._decode(stored, tile, level, column, row)
        if level == self.wrong_level:
            self.spoil(tile)


@pytest.mark.parametrize("level", range(LEVELS))
@pytest.mark.parametrize("spoil", WRONG)
def test_wrong_pixels_of_any_level_are_found(pyramid: Path, spoil: Callable[[Pixels], None], level: int) -> None:
    with WrongPixels(pyramid, level, spoil) as direct, OpenSlideReader(str(pyramid)) as reference:
        difference = equals_openslide(direct, reference)
    assert difference is not None
    assert difference.startswith(f"pixels differ from OpenSlide at level {level} (")


@pytest.mark.parametrize("level", range(LEVELS))
@pytest.mark.parametrize("spoil", RIMS)
def test_a_wrong_rim_of_tiles_is_found_on_each_side(pyramid: Path, spoil: Callable[[Pixels], None], level: int) -> None:
    with WrongPixels(pyramid, level, spoil) as direct, OpenSlideReader(str(pyramid)) as reference:
        assert "pixels differ" in str(equals_openslide(direct, reference))


class WrongPlaces(DirectReader):
    """Takes other tiles than it should on one level."""

    def __init__(self, path: Path, level: int, columns: int) -> None:
        super().__init__(str(path))
        self.wrong_level, self.wrong_columns = level, columns

    def _stored(self, level: int, column: int, row: int) -> bytes | None:
        if level != self.wrong_level:
            return super()._stored(level, column, row)
        tiles = self.levels[level]
        row, column = divmod(row * self.wrong_columns + column, tiles.columns)  # as if there were fewer or more
        return super()._stored(level, column % tiles.columns, row % tiles.rows)


@pytest.mark.parametrize("level", range(LEVELS))
@pytest.mark.parametrize("more", [-1, 1])
def test_tiles_from_other_places_are_found(pyramid: Path, level: int, more: int) -> None:
    with DirectReader(str(pyramid)) as good:
        columns = good.levels[level].columns
    with WrongPlaces(pyramid, level, columns + more) as direct, OpenSlideReader(str(pyramid)) as reference:
        assert "pixels differ" in str(equals_openslide(direct, reference))


def test_tiles_that_are_joined_wrongly_are_found(pyramid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = direct_reader._overlap

    def one_less(tile_start: int, tile_size: int, start: int, size: int) -> tuple[slice, slice]:
        into, source = right(tile_start, tile_size, start, size)
        if into.start:  # of the second tile and later ones
            source = slice(source.start + 1, source.stop + 1)
        return into, source

    monkeypatch.setattr(direct_reader, "_overlap", one_less)
    with DirectReader(str(pyramid)) as direct, OpenSlideReader(str(pyramid)) as reference:
        assert "pixels differ from OpenSlide at level 0" in str(equals_openslide(direct, reference))


def test_every_level_is_compared_at_three_places_and_few_tiles_are_decoded(
    pyramid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[tuple[int, ...]] = []
    read = OpenSlideReader.read

    def noted(self: OpenSlideReader, *place: int) -> Pixels:
        places.append(place)
        return read(self, *place)

    monkeypatch.setattr(OpenSlideReader, "read", noted)
    with DirectReader(str(pyramid)) as direct, OpenSlideReader(str(pyramid)) as reference:
        assert equals_openslide(direct, reference) is None
        assert direct.decoded <= 6 + 3 + 3
        sizes = direct.info.level_sizes
    assert len(set(places)) == len(places) == 3 * LEVELS
    for level, x, y, width, height in places:
        assert (width, height) == (REGION, REGION)
        assert 0 <= x <= sizes[level][0] - REGION
        assert 0 <= y <= sizes[level][1] - REGION


@pytest.mark.parametrize("tile", [48, 64, 80, 128, 512])
@pytest.mark.parametrize("size", [(40, 50), (128, 128), (300, 90), (513, 700)])
def test_slides_of_any_shape_are_proved(tmp_path: Path, size: tuple[int, int], tile: int) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(*size), tile=tile)
    with DirectReader(str(path)) as direct, OpenSlideReader(str(path)) as reference:
        assert equals_openslide(direct, reference) is None
