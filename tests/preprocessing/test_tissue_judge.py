"""A coarse mask is asked per window and per pixel; what it forbids is not even read."""

import numpy as np
import pytest

from preprocessing.readers.base import Reader, SlideInfo
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.scales import SlideScale
from preprocessing.tiling_settings import Tissue
from preprocessing.tissue_judge import CoarseMask, tissue_judge

MASK = np.random.default_rng(5).random((30, 40)) < 0.6
ORIGINS = np.array([[33, 57], [90, 41], [120, 60]], np.int32)


class Painted(Reader):
    """Half black, half white; notes what is read."""

    def __init__(self) -> None:
        self.path = "painted"
        self.info = SlideInfo(((320, 240),), (1.0,), None, None, "painted")
        self.reads: list[tuple[int, int, int, int]] = []

    def _read_inside(self, level: int, x: int, y: int, width: int, height: int, background: int) -> np.ndarray:  # noqa: ARG002
        self.reads.append((x, y, width, height))
        columns = np.arange(x, x + width) % 2 * 255
        return np.broadcast_to(columns[None, :, None], (height, width, 3)).astype(np.uint8)

    def close(self) -> None:
        pass


def scaled(reader: Reader, downsample: float = 1.0) -> ScaledSlide:
    return ScaledSlide(reader, [SlideScale(0, 1.0, downsample, 320, 240, None, None)])


def slow_share(origin: np.ndarray, side: int, of_mask: int) -> float:
    """Every level-0 pixel of the window asks the mask pixel that it lies in."""
    x, y = origin
    set_pixels = [
        MASK[row // of_mask, column // of_mask] for row in range(y, y + side) for column in range(x, x + side)
    ]
    return float(np.mean(set_pixels))


def test_share_of_a_window_is_that_of_its_pixels() -> None:
    got = CoarseMask(MASK, 8.0).fractions(ORIGINS, 50, 1.0)
    assert got == pytest.approx([slow_share(origin, 50, 8) for origin in ORIGINS], abs=1e-6)


def test_share_is_the_same_at_another_scale() -> None:
    fine = CoarseMask(MASK, 8.0).fractions(ORIGINS * 2, 50, 1.0)
    assert CoarseMask(MASK, 8.0).fractions(ORIGINS, 25, 2.0) == pytest.approx(fine, abs=1e-6)


def test_stretched_mask_ends_where_the_mask_ends() -> None:
    got = CoarseMask(MASK, 8.0).stretched(300, 200, 60, 70, 1.0)
    expected = np.zeros((70, 60), bool)
    expected[:40, :20] = MASK.repeat(8, axis=0).repeat(8, axis=1)[200:240, 300:320]
    assert np.array_equal(got, expected)


def test_thumbnail_alone_reads_no_pixel() -> None:
    reader = Painted()
    judge = tissue_judge(Tissue(method="otsu"), CoarseMask(MASK, 8.0))
    assert judge.fractions(scaled(reader), ORIGINS, 50) == pytest.approx(
        [slow_share(origin, 50, 8) for origin in ORIGINS], abs=1e-6
    )
    assert reader.reads == []


def test_gray_pixels_count_where_the_thumbnail_allows() -> None:
    mask = CoarseMask(MASK, 8.0)
    got = tissue_judge(Tissue(quality=True), mask).fractions(scaled(Painted()), ORIGINS, 50)
    even = [
        np.mean(
            [
                [column % 2 == 0 and MASK[row // 8, column // 8] for column in range(x, x + 50)]
                for row in range(y, y + 50)
            ]
        )
        for x, y in ORIGINS.tolist()
    ]
    assert got == pytest.approx(even, abs=1e-6)
    assert tissue_judge(Tissue(), None).fractions(scaled(Painted()), ORIGINS, 50) == pytest.approx([0.5] * 3)


@pytest.mark.parametrize("method", ["gray", "histopath", "bright"])
def test_a_block_without_a_usable_pixel_is_not_read(method: str) -> None:
    reader = Painted()
    judge = tissue_judge(Tissue(method=method, quality=True), CoarseMask(np.zeros_like(MASK), 8.0))
    assert (judge.fractions(scaled(reader), ORIGINS, 50) == 0).all()
    assert reader.reads == []
