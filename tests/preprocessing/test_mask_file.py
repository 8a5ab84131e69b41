"""Masks of thumbnails are PNGs that others open, and come back as they were."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cluster.storage import Store
from preprocessing.mask_file import read_mask, write_mask
from preprocessing.shard_file import WRITING


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A staging folder."""
    (tmp_path / WRITING).mkdir()
    return Store(str(tmp_path))


@pytest.mark.parametrize("shape", [(1, 1), (3, 8), (7, 9), (1000, 701), (2, 300_001)])
def test_pillow_sees_the_mask_that_was_written(store: Store, shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(1).random(shape) < 0.4
    write_mask(mask, store, "tissue/one.png")
    with Image.open(io.BytesIO(store.read_bytes("tissue/one.png"))) as image:
        assert image.mode == "1"
        assert np.array_equal(np.asarray(image), mask)
    back = read_mask(store, "tissue/one.png")
    assert back.dtype == np.bool_
    assert np.array_equal(back, mask)


def test_what_is_no_such_mask_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_bytes(b"no picture")
    Image.new("L", (9, 9)).save(tmp_path / "gray.png")
    rows = np.random.default_rng(2).integers(0, 2, (9, 9)).astype(bool)
    write_mask(rows, store, "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:50])
    for name in ("text.png", "gray.png", "cut.png"):
        with pytest.raises(ValueError, match=f"{name} .*again"):
            read_mask(store, name)


def test_worker_that_comes_back_after_its_job_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_mask(np.ones((3, 3), bool), Store(str(tmp_path / "_staging" / "gone")), "tissue/one.png")
    assert not list(tmp_path.iterdir())
