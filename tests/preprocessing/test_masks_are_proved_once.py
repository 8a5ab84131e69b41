"""The mask beside a slide is opened for every unit of work; its reader is chosen, and its overview read, once."""

from pathlib import Path

import numpy as np
import pytest

from preprocessing.errors import AnnotationError
from preprocessing.labels import open_truth
from preprocessing.readers import opening
from preprocessing.readers.base import SlideInfo
from preprocessing.readers.openslide_reader import OpenSlideReader
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels
from tests.preprocessing.annotation_files import mask_tiff
from tests.preprocessing.readers.making import write_pyramid

SIDE = 256
INFO = SlideInfo(((SIDE, SIDE),), (1.0,), None, None, "test")


def test_one_proof_serves_all_units_until_the_mask_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proofs = []
    prove = opening.equals_openslide

    def counted(*readers: object) -> str | None:
        proofs.append(readers)
        return prove(*readers)

    monkeypatch.setattr(opening, "equals_openslide", counted)
    path = tmp_path / "s_mask.tif"
    entry = SlideEntry("s", "s.tif", mask=str(path))
    drawn = np.zeros((SIDE, SIDE, 3), np.uint8)
    drawn[64:128, 32:192] = 255
    for number, pixels in enumerate((drawn, drawn[::-1].copy()), start=1):
        write_pyramid(path, pixels)
        for _ in range(4):
            with open_truth(entry, INFO, 1.0, Labels()) as truth:
                assert truth is not None
                assert np.array_equal(truth.labels(0, 0, SIDE, SIDE), pixels[..., 0] // 255)
        assert len(proofs) == number
    path.unlink()
    with (
        pytest.raises(AnnotationError, match=r"mask: .*s_mask\.tif does not exist"),
        open_truth(entry, INFO, 1.0, Labels()),
    ):
        pass


def test_faint_masks_are_looked_over_once_until_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask of 0/1 has to be told from a faint place of one of 0/255, by a look at all of it."""
    looks = []
    read = OpenSlideReader.read

    def counted(self: OpenSlideReader, *place: int, **options: int) -> np.ndarray:
        looks.append(place[3:] == (SIDE, SIDE))
        return read(self, *place, **options)

    monkeypatch.setattr(OpenSlideReader, "read", counted)
    entry = SlideEntry("s", "s.tif", mask=str(tmp_path / "s_mask.tif"))
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[:32, :32] = 1
    for number, bright in enumerate((0, 255), start=1):  # then the same faint place, and a bright one far away
        pixels[200:, 200:] = bright
        mask_tiff(tmp_path / "s_mask.tif", pixels)
        for _ in range(3):
            with open_truth(entry, INFO, 1.0, Labels()) as truth:
                assert truth is not None
                assert truth.labels(0, 0, 64, 64)[:32, :32].all() == (bright == 0)
        assert sum(looks) == number
