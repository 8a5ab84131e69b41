"""The mask beside a slide is opened for every unit of work, and its reader chosen once."""

from pathlib import Path

import numpy as np
import pytest

from preprocessing.errors import AnnotationError
from preprocessing.labels import open_truth
from preprocessing.readers import opening
from preprocessing.readers.base import SlideInfo
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels
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
