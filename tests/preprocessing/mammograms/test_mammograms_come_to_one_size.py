"""A mammogram made ready: read as stored, breast kept and film left out, scaled by its aspect, regions under it."""

from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from histospark.drawing.mammograms import draw_cbis_ddsm
from preprocessing.errors import AnnotationError, SlideReadError
from preprocessing.mammograms.breast import breast_mask
from preprocessing.mammograms.cbis_ddsm import Mammogram, Region
from preprocessing.mammograms.fitting import Fit
from preprocessing.mammograms.gray_image import read_gray, write_gray
from preprocessing.mammograms.prepare_wave import IMAGE, MASK, prepared


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one drawn mammogram's file."""
    folder = tmp_path_factory.mktemp("cbis")
    draw_cbis_ddsm(folder, seed=1, patients=1, height=300, width=200)
    return next(folder.glob("*_CC/*/*.dcm"))


def test_dicom_and_png_tell_the_same_values(case: Path, tmp_path: Path) -> None:
    values = pydicom.dcmread(case).pixel_array
    assert values.dtype == np.uint16
    (tmp_path / "same.png").write_bytes(imagecodecs.png_encode(values))
    assert np.array_equal(read_gray(str(case)), values)
    assert np.array_equal(read_gray(str(tmp_path / "same.png")), values)


def test_fewer_bits_and_inverted_films_come_out_as_all_others(case: Path, tmp_path: Path) -> None:
    image = pydicom.dcmread(case)
    twelve = (image.pixel_array >> 4).astype(np.uint16)
    image.PixelData, image.BitsStored, image.HighBit = twelve.tobytes(), 12, 11
    image.PhotometricInterpretation = "MONOCHROME1"
    image.save_as(tmp_path / "old.dcm")
    expected = 65535 - np.rint(twelve / 4095 * 65535)
    assert np.abs(read_gray(str(tmp_path / "old.dcm")).astype(int) - expected).max() <= 1


def test_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "torn.dcm").write_bytes(bytes(200))
    with pytest.raises(SlideReadError, match=r"torn\.dcm cannot be decoded"):
        read_gray(str(tmp_path / "torn.dcm"))


def _film() -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """A breast at the rim with a dark place in it; a label, and a scratch that joins the two."""
    image = np.full((400, 300), 800, np.uint16)
    breast = np.zeros(image.shape, bool)
    breast[60:340, :180] = True
    image[breast] = 30000
    image[180:200, 60:80] = 500
    image[20:60, 230:290] = 65000
    image[50:53, 100:240] = 60000
    image[53:70, 100:103] = 60000
    return image, breast


def test_breast_is_kept_to_its_last_pixel_and_label_and_scratch_are_not() -> None:
    image, breast = _film()
    found = breast_mask(image)
    assert np.array_equal(found, breast)


def test_scaled_pixel_is_the_mean_of_what_lies_under_it() -> None:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 65536, (120, 60)).astype(np.uint16)
    fit = Fit.within(60, 120, (40, 30))
    assert (fit.width, fit.height, fit.left, fit.top, fit.side) == (20, 40, 10, 0, 40)
    scaled = fit.image(image)
    for row in range(0, 40, 7):
        for column in range(0, 20, 3):
            under = image[3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
            assert abs(int(scaled[row, 10 + column]) - under.mean()) <= 1
    assert not scaled[:, :10].any()
    assert not scaled[:, 30:].any()


def test_no_region_vanishes_however_small() -> None:
    mask = np.zeros((1000, 700), bool)
    mask[517, 300] = True
    kept = Fit.within(700, 1000, (100, 80)).region(mask)
    assert np.argwhere(kept).tolist() == [[51, 15 + 30]]


def _mammogram(folder: Path, regions: list[tuple[NDArray[np.uint8], ...]], labels: list[int]) -> Mammogram:
    folder.mkdir(exist_ok=True)
    image, _ = _film()
    (folder / "image.png").write_bytes(write_gray(image))
    named = []
    for number, (files, label) in enumerate(zip(regions, labels, strict=True)):
        paths = [folder / f"{number}_{place}.png" for place in range(len(files))]
        for path, pixels in zip(paths, files, strict=True):
            path.write_bytes(write_gray(pixels))
        named.append(Region(tuple(map(str, paths)), label))
    return Mammogram("case", str(folder / "image.png"), "p", tuple(named))


def _mask(rows: slice, columns: slice, shape: tuple[int, int] = (400, 300)) -> NDArray[np.uint8]:
    mask = np.zeros(shape, np.uint8)
    mask[rows, columns] = 255
    return mask


def test_mask_is_the_file_of_the_films_size_whatever_its_name_and_place(tmp_path: Path) -> None:
    mask, cut = _mask(slice(100, 140), slice(40, 80)), np.full((60, 60), 90, np.uint8)
    ways = [prepared(_mammogram(tmp_path / str(n), [files], [3]), (200, 150)) for n, files in enumerate(
        [(mask, cut), (cut, mask)]
    )]  # fmt: skip
    for done in ways:
        expected = np.zeros((200, 200), np.uint8)
        expected[50:70, 25 + 20 : 25 + 40] = 3
        assert np.array_equal(done[MASK], expected)
        assert done[IMAGE].shape == (200, 200)
        assert done[IMAGE][100, 100] == 30000
        assert done[IMAGE][20, 25 + 130] == 0, "the label of the film is gone"


def test_mask_of_half_the_size_fits_by_its_aspect(tmp_path: Path) -> None:
    half = _mask(slice(50, 70), slice(20, 40), (200, 150))
    done = prepared(_mammogram(tmp_path, [(half, np.full((60, 60), 90, np.uint8))], [1]), (200, 150))
    assert np.argwhere(done[MASK] == 1).min(0).tolist() == [50, 25 + 20]
    assert (done[MASK] == 1).sum() == 400


def test_where_regions_overlap_the_malignant_one_counts(tmp_path: Path) -> None:
    two = [(_mask(slice(100, 140), slice(40, 80)),), (_mask(slice(120, 160), slice(40, 80)),)]
    done = prepared(_mammogram(tmp_path, two, [4, 3]), (400, 300))
    assert (done[MASK][100:140, 50 + 40 : 50 + 80] == 4).all()
    assert (done[MASK][140:160, 50 + 40 : 50 + 80] == 3).all()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ((np.zeros((400, 300), np.uint8),), "is empty"),
        ((np.full((60, 60), 90, np.uint8),), "0 files of a region have its shape"),
        ((_mask(slice(1, 9), slice(1, 9)), _mask(slice(1, 9), slice(1, 9))), "2 files of a region have its shape"),
    ],
)
def test_region_without_one_clear_mask_is_refused(files: tuple[NDArray[np.uint8]], told: str, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=told):
        prepared(_mammogram(tmp_path, [files], [1]), (200, 150))
