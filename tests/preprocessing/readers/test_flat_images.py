"""Images that are no slides come out as other decoders show them: GDAL (rasterio) and Pillow."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import rasterio
import tifffile
from numpy.typing import NDArray
from PIL import Image

from preprocessing.errors import SlideError, SlideOpenError, SlideReadError
from preprocessing.readers import flat_reader
from preprocessing.readers.flat_reader import FlatReader
from tests.preprocessing.readers.making import change_tag, texture


def flat(path: Path, background: int = 255) -> NDArray[np.uint8]:
    with FlatReader(str(path)) as image:
        return image.read(0, 0, 0, image.info.width, image.info.height, background)


def by_gdal(path: Path) -> NDArray[np.generic]:
    """(h, w, bands), as stored."""
    with rasterio.open(path) as image:
        return np.moveaxis(image.read(), 0, -1)


def deep(height: int, width: int, channels: int) -> NDArray[np.uint16]:
    return np.random.default_rng(3).integers(0, 65536, (height, width, channels)).astype(np.uint16)


def in_eight_bits(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """The rule in whole numbers: the nearest of value / 257, which is never a tie."""
    return ((values.astype(np.int64) + 128) // 257).astype(np.uint8)


def on_background(pixels: NDArray[np.uint8], background: int) -> NDArray[np.int64]:
    alpha = pixels[..., -1:].astype(np.float64) / 255
    return np.rint(pixels[..., :-1] * alpha + background * (1 - alpha)).astype(np.int64)


pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

COLOR = texture(90, 70)
ALPHA = np.dstack([COLOR, np.linspace(0, 255, 90 * 70).astype(np.uint8).reshape(90, 70)])
GRAY_ALPHA = ALPHA[..., [0, 3]]


@pytest.mark.parametrize("kind", ["1", "L", "LA", "P", "P with a transparent color", "RGB", "RGBA"])
def test_png_of_every_kind_looks_as_pillow_shows_it(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    image = Image.fromarray(COLOR).convert("P") if kind.startswith("P") else Image.fromarray(ALPHA).convert(kind)
    image.save(path, **({"transparency": 3} if "transparent" in kind else {}))
    shown = np.asarray(Image.open(path).convert("RGBA"))
    for background in (255, 30):
        assert np.abs(flat(path, background) - on_background(shown, background)).max() <= 1
    if kind in {"1", "L", "P", "RGB"}:
        assert np.array_equal(flat(path), shown[..., :3])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_16_bits_is_scaled_by_its_range(channels: int, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(imagecodecs.png_encode(np.squeeze(deep(40, 50, channels))))
    values = by_gdal(path)
    assert values.dtype == np.uint16
    scaled = in_eight_bits(values)
    if channels in {1, 3}:
        assert np.array_equal(flat(path), np.broadcast_to(scaled, (40, 50, 3)))
    else:
        assert np.abs(flat(path, 255) - on_background(scaled, 255)).max() <= 1


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_looks_as_pillow_shows_it(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    Image.fromarray(COLOR).convert(mode).save(path, quality=90)
    assert np.array_equal(flat(path), np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_images_are_turned_upright(suffix: str, orientation: int, tmp_path: Path) -> None:
    path = tmp_path / f"image.{suffix}"
    exif = Image.Exif()
    exif[274] = orientation
    image = Image.fromarray(COLOR)
    image.save(path, **({"tiffinfo": {274: orientation}} if suffix == "tif" else {"exif": exif}))
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # to Pillow's own transpositions, by its manual
    stored = Image.open(path)
    stored.load()
    pixels = Image.fromarray(by_gdal(path)) if suffix == "tif" else stored
    expected = pixels if orientation == 1 else pixels.transpose(Image.Transpose(turns[orientation]))
    assert np.array_equal(flat(path), np.asarray(expected))


TIFFS = {
    "gray": (COLOR[..., 0], {"photometric": "minisblack"}),
    "white is zero": (COLOR[..., 0], {"photometric": "miniswhite"}),
    "RGB in strips": (COLOR, {"rowsperstrip": 16}),
    "RGB in tiles": (COLOR, {"tile": (32, 32), "compression": "zlib", "predictor": True}),
    "RGB in planes": (np.moveaxis(COLOR, -1, 0), {"planarconfig": "separate"}),
    "LZW": (COLOR, {"compression": "lzw"}),
    "big-endian": (COLOR, {"byteorder": ">"}),
    "BigTIFF": (COLOR, {"bigtiff": True}),
    "16 bits, gray": (deep(90, 70, 1)[..., 0], {"photometric": "minisblack"}),
    "16 bits, RGB": (deep(90, 70, 3), {"compression": "zlib"}),
    "16 bits, RGB, big-endian": (deep(90, 70, 3), {"byteorder": ">"}),
}


@pytest.mark.parametrize("kind", TIFFS)
def test_plain_tiff_is_what_gdal_reads(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    pixels, how = TIFFS[kind]
    tifffile.imwrite(path, pixels, **({"photometric": "rgb"} | how))
    values = by_gdal(path)
    values = in_eight_bits(values) if values.dtype == np.uint16 else values
    values = 255 - values if kind == "white is zero" else values
    assert np.array_equal(flat(path), np.broadcast_to(values, (90, 70, 3)))


@pytest.mark.parametrize("multiplied", [False, True])
@pytest.mark.parametrize("pixels", [GRAY_ALPHA, ALPHA])
def test_alpha_of_tiff_is_composed_on_the_background(
    pixels: NDArray[np.uint8], multiplied: bool, tmp_path: Path
) -> None:
    path = tmp_path / "image.tif"
    expected = on_background(pixels, 200)
    if multiplied:
        pixels = np.dstack([np.rint(pixels[..., :-1] * (pixels[..., -1:] / 255)).astype(np.uint8), pixels[..., -1]])
    tifffile.imwrite(
        path,
        pixels,
        photometric="rgb" if pixels.shape[2] == 4 else "minisblack",
        planarconfig="contig",
        extrasamples=["assocalpha" if multiplied else "unassalpha"],
    )
    assert np.abs(flat(path, 200) - expected).max() <= 2


def test_further_channels_that_are_no_alpha_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, ALPHA, photometric="rgb", extrasamples=["unspecified"])
    assert np.array_equal(flat(path), COLOR)


def test_palettes_and_single_bits_of_tiff(tmp_path: Path) -> None:
    for mode in ("P", "1"):
        path = tmp_path / f"{mode}.tif"
        Image.fromarray(COLOR).convert(mode).save(path)
        assert np.array_equal(flat(path), np.asarray(Image.open(path).convert("RGB")))


def test_the_first_of_several_pages_counts(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    with tifffile.TiffWriter(path) as writer:
        for page in (COLOR, texture(33, 44)):
            writer.write(page, photometric="rgb")
    assert np.array_equal(flat(path), COLOR)


def test_jpeg_in_strips(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    Image.fromarray(COLOR).save(path, compression="jpeg", quality=90)
    assert np.array_equal(flat(path), np.asarray(Image.open(path).convert("RGB")))


def test_the_real_stripped_tiff_is_what_gdal_reads(real: Path) -> None:
    path = real / "wsi" / "bad" / "kidney-48-5.tif"
    assert np.array_equal(flat(path), by_gdal(path))


@pytest.mark.parametrize(("dots_per_centimeter", "mpp"), [(20000.0, 0.5), (28.35, None), (472.0, None)])
def test_only_a_resolution_of_a_microscope_is_taken(
    dots_per_centimeter: float, mpp: float | None, tmp_path: Path
) -> None:
    dots_per_inch = dots_per_centimeter * 2.54
    Image.fromarray(COLOR).save(tmp_path / "image.png", dpi=(dots_per_inch, dots_per_inch))
    resolution = {"resolution": (dots_per_centimeter, dots_per_centimeter), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "image.tif", COLOR, photometric="rgb", **resolution)
    tifffile.imwrite(tmp_path / "bare.tif", COLOR, photometric="rgb")
    for name in ("image.png", "image.tif"):
        with FlatReader(str(tmp_path / name)) as image:
            assert image.info.mpp == (None if mpp is None else pytest.approx(mpp, rel=1e-3))
    with FlatReader(str(tmp_path / "bare.tif")) as image:
        assert image.info.mpp is None


def test_regions_beyond_the_image_are_background(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(COLOR).save(path)
    with FlatReader(str(path)) as image:
        region = image.read(0, -10, 80, 100, 20, background=9)
    assert np.array_equal(region[:10, 10:80], COLOR[80:])
    assert (region[10:] == 9).all()
    assert (region[:, :10] == 9).all()


def test_an_image_too_large_to_hold_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(COLOR).save(path)
    monkeypatch.setattr(flat_reader, "MAX_PIXELS", 90 * 70 - 1)
    with pytest.raises(SlideOpenError, match=r"70x90 px, more than .* convert it to a tiled pyramid TIFF"):
        FlatReader(str(path))


@pytest.mark.parametrize(
    ("pixels", "how", "says"),
    [
        (COLOR.astype(np.float32), {"photometric": "rgb"}, "float32; save it with 8 or 16 bits"),
        (COLOR.astype(np.uint32), {"photometric": "rgb"}, "uint32; save it with 8 or 16 bits"),
        (ALPHA, {"photometric": "separated"}, "colors of kind 5; save it as RGB or gray"),
    ],
)
def test_numbers_and_colors_that_are_not_read_are_named(
    pixels: NDArray[np.generic], how: dict[str, str], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, pixels, **how)
    with pytest.raises(SlideOpenError, match=says):
        FlatReader(str(path))


def test_cmyk_jpeg_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    Image.fromarray(COLOR).convert("CMYK").save(path)
    with pytest.raises(SlideOpenError, match="CMYK colors; save it as RGB"):
        FlatReader(str(path))


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_truncated_image_says_so(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(texture(300, 300)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SlideReadError, match=r"image\.\w+ cannot be decoded: .*; copy the file anew"):
        flat(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_flipped_bytes_end_in_a_slide_error_or_in_pixels(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(COLOR).save(path)
    good = path.read_bytes()
    rng = np.random.default_rng(5)
    ends = set()
    for number in range(80):
        data = bytearray(good)
        for place in rng.integers(0, 300 if number % 2 else len(data), 1 + number % 3):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            flat(path)
            ends.add("pixels")
        except SlideError:
            ends.add("error")
    assert "error" in ends


@pytest.mark.parametrize(("code", "value", "says"), [(277, 60_000, "60000 channels"), (322, 65_520, "65520x65520 px")])
def test_claims_that_would_eat_all_memory_are_refused(code: int, value: int, says: str, tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, COLOR, photometric="rgb", tile=(32, 32))
    change_tag(path, code, value)
    if code == 322:
        change_tag(path, 323, 65_520)
    with pytest.raises(SlideOpenError, match=says):
        FlatReader(str(path))
