"""A slide that is read part by part decodes each tile once, if its reader is told what comes later and has room."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from preprocessing.readers import direct_reader
from preprocessing.readers.base import Region
from preprocessing.readers.direct_reader import DirectReader
from preprocessing.readers.openslide_reader import OpenSlideReader
from tests.preprocessing.readers.making import texture, write_pyramid

TILE_BYTES = 3 * 128 * 128
SIDE, PART, REACH, STRIP = 1152, 384, 40, 58  # 9 x 9 tiles in 3 x 3 parts, each of which reads 40 px around it, too
PARTS = [Region(0, x - REACH, y - REACH, 464, 464) for y in range(0, SIDE, PART) for x in range(0, SIDE, PART)]


@pytest.fixture
def slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(direct_reader, "CACHE_BYTES", 12 * TILE_BYTES)  # just enough for a part in strips
    return write_pyramid(tmp_path / "slide.tif", texture(SIDE, SIDE))


def pixels_of_parts(reader: DirectReader | OpenSlideReader, told: bool) -> list[NDArray[np.uint8]]:
    """The slide part by part, each in strips from top to bottom."""
    found = []
    for number, part in enumerate(PARTS):
        if told:
            reader.keep(PARTS[number + 1 :])
        starts = range(part.x, part.x + part.width, STRIP)
        found.append(np.hstack([reader.read(0, x, part.y, STRIP, part.height) for x in starts]))
    return found


def equal(some: list[NDArray[np.uint8]], others: list[NDArray[np.uint8]]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(some, others, strict=True))


def test_each_tile_is_decoded_once(slide: Path) -> None:
    with DirectReader(str(slide)) as direct, OpenSlideReader(str(slide)) as reference:
        assert equal(pixels_of_parts(direct, told=True), pixels_of_parts(reference, told=True))
        assert direct.decoded == 81
        assert direct.cached_bytes < 50 * TILE_BYTES


def test_untold_or_without_room_tiles_are_decoded_again_and_right(slide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with DirectReader(str(slide)) as direct:
        expected = pixels_of_parts(direct, told=False)
        untold = direct.decoded
    monkeypatch.setattr(direct_reader, "KEPT_BYTES", 3 * TILE_BYTES)
    with DirectReader(str(slide)) as direct:
        assert equal(pixels_of_parts(direct, told=True), expected)
        assert 81 < direct.decoded < untold
        assert direct.cached_bytes <= (12 + 3) * TILE_BYTES


def test_a_whole_tile_is_kept_for_those_who_come_later(slide: Path) -> None:
    with DirectReader(str(slide)) as direct:
        direct.keep([Region(0, 100, 0, 100, 50)])
        for _ in range(2):
            direct.read(0, 0, 0, 128, 128)
            direct.read(0, 256, 256, 640, 640)  # pushes out what nobody wants
        assert direct.decoded == 1 + 2 * 25
