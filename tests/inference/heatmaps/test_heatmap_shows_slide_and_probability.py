"""What a person sees: the slide as it is, the probability over it, the truth where it is known."""

import io
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from inference.assemble import shown_by
from inference.heatmaps.lesions import Lesion
from inference.heatmaps.overlay import heatmap_png, round_length
from preprocessing.recipe_file import load_recipe
from tests.conftest import ROOT
from tests.inference.heatmaps.slow import Array, cell_map

LIGHT, DARK = (226, 186, 210), (150, 90, 140)  # eosin and hematoxylin, about
SIDE = 2000
RING = np.array([[400, 400], [1400, 400], [1400, 1400], [400, 1400], [400, 400]], float)

Pixels = NDArray[np.uint8]


def plain_slide(color: Sequence[int] = LIGHT) -> Pixels:
    return np.full((800, 800, 3), color, np.uint8)


def striped_slide() -> Pixels:
    slide = plain_slide()
    slide[:, np.arange(800) // 50 % 2 == 1] = DARK
    return slide


def ten_by_ten(fill: float = np.nan, **cells: float) -> Array:
    """Cells of 200 px over the whole slide of `SIDE`; `r3c4=0.9` sets one."""
    values = np.full((10, 10), fill, np.float32)
    for name, value in cells.items():
        row, column = name[1:].split("c")
        values[int(row), int(column)] = value
    return values


def picture(
    slide: Pixels,
    values: Array,
    truth: Sequence[NDArray[np.float64]] = (),
    lesions: Sequence[Lesion] = (),
    size: tuple[int, int] = (SIDE, SIDE),
    mpp: float | None = None,
) -> Pixels:
    """Drawn with the cells spread over the whole slide."""
    step = size[1] / len(values)
    with cell_map(values, (step / 2, step / 2), step) as cells:
        drawn = heatmap_png("slide\nscore", slide, size, cells, truth, lesions, mpp)
    with Image.open(io.BytesIO(drawn)) as png:
        assert png.format == "PNG"
        return np.asarray(png.convert("RGB"))


@cache
def panels(size: tuple[int, int] = (SIDE, SIDE)) -> list[tuple[slice, slice]]:
    """Where the two pictures of a slide lie, found by its color: left, then right."""
    slide = np.full((1200 * size[1] // max(size), 1200 * size[0] // max(size), 3), LIGHT, np.uint8)
    drawn = picture(slide, np.full((1, 1), np.nan, np.float32), size=size)
    labels, _ = ndimage.label((drawn == np.array(LIGHT)).all(axis=-1))
    found = [box for box in ndimage.find_objects(labels) if (box[0].stop - box[0].start) > 200]
    assert len(found) == 2
    return sorted(found, key=lambda box: box[1].start)


def inside(panel: Pixels, row: int, column: int) -> Pixels:
    """The inner part of one of the 10 x 10 cells of a panel."""
    height, width = np.array(panel.shape[:2]) / 10
    top, left = int((row + 0.2) * height), int((column + 0.2) * width)
    return panel[top : top + int(0.6 * height), left : left + int(0.6 * width)]


def difference(one: Pixels, other: Pixels) -> NDArray[np.int64]:
    return np.abs(one.astype(int) - other.astype(int)).max(axis=-1)


def test_only_judged_cells_of_the_right_panel_change() -> None:
    left, right = panels()
    drawn = picture(plain_slide(), ten_by_ten(r2c7=0.9))
    slide = np.array(LIGHT, np.uint8)
    assert (drawn[left] == slide).all()
    for row in range(10):
        for column in range(10):
            changed = difference(inside(drawn[right], row, column), slide)
            if (row, column) == (2, 7):
                assert changed.min() > 60
            else:
                assert changed.max() == 0


def test_a_low_probability_leaves_the_tissue_visible_and_a_high_one_does_not_hide_it() -> None:
    _, right = panels()
    bare = picture(striped_slide(), ten_by_ten())[right].astype(int)
    low = picture(striped_slide(), ten_by_ten(fill=0.05))[right].astype(int)
    high = picture(striped_slide(), ten_by_ten(fill=0.99))[right].astype(int)
    contrast = {name: image.std(axis=(0, 1)).mean() for name, image in (("bare", bare), ("low", low), ("high", high))}
    assert contrast["low"] > 0.85 * contrast["bare"]
    assert contrast["high"] > 0.2 * contrast["bare"]
    assert difference(low, bare).max() < 25
    assert difference(high, bare).min() > 50


def test_the_higher_the_probability_the_further_from_the_slide() -> None:
    _, right = panels()
    distances = []
    for probability in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        drawn = picture(plain_slide(), ten_by_ten(fill=probability))[right].astype(float)
        distances.append(np.linalg.norm(drawn[100, 100] - np.array(LIGHT)))
    assert distances[0] > 0  # judged and found normal is not the same as not judged
    assert distances == sorted(distances)
    assert min(np.diff(distances)) > 3


def green(drawn: Pixels) -> NDArray[np.bool_]:
    red, green, blue = (drawn[..., band].astype(int) for band in range(3))
    return (green > red + 60) & (green > blue + 30) & (green < 160)


@pytest.mark.parametrize("fill", [np.nan, 0.5, 0.99])
def test_truth_is_outlined_in_both_panels_only_where_it_is_known(fill: float) -> None:
    left, right = panels()
    known = picture(plain_slide(), ten_by_ten(fill), [RING])
    unknown = picture(plain_slide(), ten_by_ten(fill))
    assert not green(unknown).any()
    for panel in (left, right):
        rows, columns = np.nonzero(green(known[panel]))
        assert len(rows) > 500
        height, width = known[panel].shape[:2]
        borders = [columns.min() / width, columns.max() / width, rows.min() / height, rows.max() / height]
        assert borders == pytest.approx([0.2, 0.7, 0.2, 0.7], abs=0.01)


def test_lesions_are_crossed_at_their_place_in_the_right_panel() -> None:
    left, right = panels()
    with_lesion = picture(plain_slide(), ten_by_ten(fill=0.9), lesions=[Lesion(500, 1500, 0.9)])
    without = picture(plain_slide(), ten_by_ten(fill=0.9))
    assert difference(with_lesion[left], without[left]).max() == 0
    rows, columns = np.nonzero(difference(with_lesion[right], without[right]))
    height, width = with_lesion[right].shape[:2]
    assert columns.mean() / width == pytest.approx(0.25, abs=0.005)
    assert rows.mean() / height == pytest.approx(0.75, abs=0.005)
    assert np.ptp(columns) < 0.05 * width


@pytest.mark.parametrize("size", [(100_000, 220_000), (220_000, 20_000), (900, 1000)])
def test_the_picture_is_bounded_whatever_the_slide(size: tuple[int, int]) -> None:
    width, height = size
    thumbnail = np.random.default_rng(0).integers(0, 255, (1200 * height // max(size), 1200 * width // max(size), 3))
    values = np.random.default_rng(1).random((height // 100, width // 100)).astype(np.float32)
    drawn = picture(thumbnail.astype(np.uint8), values, size=size)
    assert max(drawn.shape) <= 2000
    assert min(drawn.shape[:2]) >= 200


@pytest.mark.parametrize("place", [(20, 30), (1234, 17), (2190, 990)])
def test_one_hot_cell_of_a_huge_slide_is_visible(place: tuple[int, int]) -> None:
    """Millions of cells, five of them per two pixels: the smallest metastasis must not fall between the pixels."""
    size = (100_000, 220_000)
    slide = np.full((1200, 545, 3), LIGHT, np.uint8)
    values = np.zeros((2200, 1000), np.float32)
    normal = picture(slide, values, size=size)
    values[place] = 1.0
    hot = picture(slide, values, size=size)
    _, right = panels(size)
    changed = difference(hot[right], normal[right]) > 60
    assert changed.any()
    row, column = (index.mean() for index in np.nonzero(changed))
    assert row / changed.shape[0] == pytest.approx(place[0] / 2200, abs=0.01)
    assert column / changed.shape[1] == pytest.approx(place[1] / 1000, abs=0.015)


def black_run(drawn: Pixels) -> tuple[int, int]:
    """Row and length of the longest black horizontal line."""
    black = (drawn < 40).all(axis=-1)
    best = (0, 0)
    for row in range(len(black)):
        edges = np.flatnonzero(np.diff(np.pad(black[row].astype(int), 1)))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            best = max(best, (end - start, row))
    return best[1], best[0]


@pytest.mark.parametrize(("mpp", "millimeters"), [(0.25, 0.1), (4.1, 2.0)], ids=str)
def test_the_scale_bar_is_as_long_as_it_says(mpp: float, millimeters: float) -> None:
    left, right = panels()
    drawn = picture(plain_slide(), ten_by_ten(), mpp=mpp)
    row, length = black_run(drawn[left])
    assert length / drawn[left].shape[1] == pytest.approx(millimeters * 1000 / mpp / SIDE, abs=0.015)
    assert row > 0.8 * drawn[left].shape[0]
    assert difference(drawn[right], np.array(LIGHT, np.uint8)).max() == 0


def test_without_a_resolution_there_is_no_scale_bar() -> None:
    left, _ = panels()
    assert black_run(picture(plain_slide(), ten_by_ten())[left])[1] == 0


@pytest.mark.parametrize(
    ("longest", "length"),
    [(1.0, 1.0), (1.99, 1.0), (2.0, 2.0), (4.9, 2.0), (5.0, 5.0), (9.99, 5.0), (0.3, 0.2), (0.05, 0.05), (26.0, 20.0)],
)
def test_lengths_are_round(longest: float, length: float) -> None:
    assert round_length(longest) == pytest.approx(length)


@pytest.mark.parametrize(
    ("recipe", "shown"),
    [
        ("camelyon16", "probability of tumor"),
        ("tupac16_mitoses", "probability of mitosis"),
        ("mammography", "probability of malignant"),
        ("mammography_patches", "probability of any but normal"),
        ("tupac16", "expected grade, 0 score_1, 1 score_3"),
    ],
)
def test_the_scale_says_what_its_numbers_are(recipe: str, shown: str) -> None:
    assert shown_by(load_recipe(str(ROOT / "conf" / f"{recipe}.yaml"))) == shown
