"""Each slide gets the fastest reader that is right for it; where that is not the fastest of all, the reason is said."""

import struct
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from preprocessing.errors import SlideError, SlideOpenError, SlideReadError
from preprocessing.readers.base import Reader
from preprocessing.readers.opening import ReaderChoice, choose_reader, open_slide
from tests.preprocessing.readers.making import (
    change_tag,
    encoded,
    overwrite,
    place_of_list,
    split_jpeg,
    texture,
    tile_place,
    write_pyramid,
)

PHOTOMETRIC, COMPRESSION, SIZES = 262, 259, 325


def read_all(slide: Reader) -> None:
    slide.read(0, 0, 0, slide.info.width, slide.info.height)


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        ("mosaic/tumor_101.tif", ReaderChoice("direct")),
        ("camelyon16/tumor_001_level5.tif", ReaderChoice("direct")),
        ("wsi/CMU-1-Small-Region.svs", ReaderChoice("direct")),
        ("wsi/TCGA-CR-7395-01A-01-TS1.svs", ReaderChoice("openslide", "JPEG 2000 tiles")),
        ("wsi/boxes.tiff", ReaderChoice("openslide", "Deflate tiles")),
        ("mosaic/tumor_101_mask.tif", ReaderChoice("openslide", "Deflate tiles")),
        ("wsi/bad/kidney-48-5.tif", ReaderChoice("flat", "no format that OpenSlide knows")),
        ("camelyon16/tumor_001_level5_mask.png", ReaderChoice("flat", "no format that OpenSlide knows")),
    ],
)
def test_real_files_get_their_reader(real: Path, name: str, choice: ReaderChoice) -> None:
    path = str(real / name)
    assert choose_reader(path) == choice
    with open_slide(path, choice) as slide:
        assert slide.name == choice.name
        assert slide.read(0, 1, 2, 30, 20).shape == (20, 30, 3)


def test_every_bad_file_opens_or_says_in_one_line_what_is_wrong(real: Path) -> None:
    ends, messages = {}, []
    for path in sorted((real / "wsi" / "bad").iterdir()):
        try:
            with open_slide(str(path)) as slide:
                read_all(slide)
                ends[path.stem] = slide.name
        except SlideError as error:
            messages.append(str(error))
            ends[path.stem] = type(error).__name__
    assert len(messages) == 2
    assert all(str(real / "wsi" / "bad") in message and "\n" not in message for message in messages)
    assert ends == {
        "broken": "SlideOpenError",
        "kidney-48-5": "flat",
        "small": "direct",
        "unreadable": "SlideReadError",
    }


def test_drawn_slides_are_read_directly(drawn: Path) -> None:
    assert choose_reader(str(drawn / "tumor_01.tif")) == ReaderChoice("direct")


def test_a_slide_with_downsamples_that_are_no_whole_numbers_is_still_direct(real: Path, tmp_path: Path) -> None:
    with openslide.OpenSlide(str(real / "mosaic" / "tumor_103.tif")) as source:
        pixels = np.asarray(source.read_region((0, 0), 0, (2301, 1397)).convert("RGB"))
    path = write_pyramid(tmp_path / "slide.tif", pixels, levels=4, tile=256, rgb=True, aperio=True)
    assert choose_reader(str(path)) == ReaderChoice("direct")


def test_colors_that_the_tile_contradicts_fall_back(tmp_path: Path) -> None:
    """OpenSlide goes by the tag, libjpeg by the JFIF marker in the tile: pixels differ."""
    path = tmp_path / "slide.tif"
    image = texture(256, 256)
    tiles = (
        encoded(np.ascontiguousarray(image[y : y + 128, x : x + 128]), rgb=False) for y in (0, 128) for x in (0, 128)
    )
    tifffile.imwrite(
        path, tiles, shape=image.shape, dtype=np.uint8, tile=(128, 128), compression="jpeg", photometric="ycbcr"
    )
    assert choose_reader(str(path)) == ReaderChoice("direct")
    change_tag(path, PHOTOMETRIC, 2)
    choice = choose_reader(str(path))
    assert choice == ReaderChoice("openslide", "pixels differ from OpenSlide at level 0 (0, 0)")
    with open_slide(str(path), choice) as slide, openslide.OpenSlide(str(path)) as reference:
        expected = np.asarray(reference.read_region((0, 0), 0, (256, 256)).convert("RGB"))
        assert np.array_equal(slide.read(0, 0, 0, 256, 256), expected)


def test_a_level_out_of_place_falls_back(tmp_path: Path) -> None:
    """A level with other content than its place in the file says is OpenSlide's to judge."""
    path = write_pyramid(tmp_path / "slide.tif", texture(512, 512), aperio=True, missing=((2, 2),))
    choice = choose_reader(str(path))
    assert choice.name == "openslide"
    assert "lacks tiles" in choice.note


def test_tables_that_are_no_tables_fall_back(tmp_path: Path) -> None:
    right = split_jpeg(encoded(texture(128, 128), rgb=False))[0]
    path = write_pyramid(tmp_path / "slide.tif", texture(256, 256), tables=b"\0\0" + right[2:])
    assert choose_reader(str(path)) == ReaderChoice("openslide", "its JPEG tables are damaged")


def test_a_list_of_tiles_that_does_not_fit_falls_back(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(512, 512))
    change_tag(path, 256, 900)
    choice = choose_reader(str(path))
    assert choice.name != "direct"


def test_gray_jpeg_tiles_fall_back(tmp_path: Path) -> None:
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, texture(256, 256)[..., 0], tile=(128, 128), compression="jpeg", photometric="minisblack")
    choice = choose_reader(str(path))
    assert choice == ReaderChoice("openslide", "JPEG tiles that are neither RGB nor YCbCr (photometric 1)")


def test_a_known_choice_is_not_proved_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(256, 256))

    def never(*_: object) -> None:
        raise AssertionError("proved again")

    monkeypatch.setattr("preprocessing.readers.opening.equals_openslide", never)
    monkeypatch.setattr("preprocessing.readers.opening.OpenSlideReader", never)
    with open_slide(str(path), ReaderChoice("direct")) as slide:
        assert slide.name == "direct"


@pytest.mark.parametrize("damage", ["no JPEG", "noise", "cut", "size", "beyond the file", "enormous"])
def test_a_damaged_tile_is_named(damage: str, tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(512, 512))
    place, size = tile_place(path, 2, 3)
    stored = path.read_bytes()[place : place + size]
    number = 3 * 4 + 2
    if damage == "no JPEG":
        overwrite(path, place, b"XX")
    elif damage == "noise":
        overwrite(path, place + size // 2, b"\xff\xd9" * 40)
    elif damage == "cut":
        overwrite(path, place + 300, bytes(size - 300))
    elif damage == "size":
        overwrite(path, place + stored.index(b"\xff\xc0") + 5, b"\xff\xf0\xff\xf0")
    else:
        spot, form = place_of_list(path, SIZES, number)
        most = 2 ** (8 * struct.calcsize(form)) - 1
        overwrite(path, spot, struct.pack(form, 60_000 if damage == "beyond the file" else most))
        if damage == "beyond the file":
            spot, form = place_of_list(path, 324, number)
            overwrite(path, spot, struct.pack(form, path.stat().st_size - 10))
    with open_slide(str(path), ReaderChoice("direct")) as slide:
        assert slide.read(0, 0, 0, 256, 384).shape == (384, 256, 3)
        with pytest.raises(SlideReadError, match=r"column 2, row 3 of level 0 .*; copy the file anew") as caught:
            read_all(slide)
        assert str(path) in str(caught.value)


def test_flipped_bytes_end_in_a_slide_error_or_in_pixels(tmp_path: Path) -> None:
    """The direct reader by itself; OpenSlide's own crashes are another matter."""
    good = write_pyramid(tmp_path / "good.tif", texture(256, 384), levels=2).read_bytes()
    rng = np.random.default_rng(11)
    directories = good.index(b"\xff\xd8")  # what comes before the first tile, or all of a small file
    path, ends, messages = tmp_path / "bad.tif", set(), []
    for number in range(250):
        data = bytearray(good)
        span = len(data) if number % 2 else max(directories, 400)
        for place in rng.integers(0, span, 1 + number % 4):
            data[place] = rng.integers(256)
        path.write_bytes(data if number % 5 else data[: int(rng.integers(1, len(data)))])
        try:
            with open_slide(str(path), ReaderChoice("direct")) as slide:
                for level, (width, height) in enumerate(slide.info.level_sizes):
                    slide.read(level, 0, 0, min(width, 4096), min(height, 4096))
            ends.add("pixels")
        except SlideError as error:
            messages.append(str(error))
            ends.add(type(error).__name__)
    assert not any("\n" in message for message in messages)
    assert ends >= {"pixels", "SlideOpenError", "SlideReadError"}


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/nowhere/slide.tif", "/nowhere/slide.tif does not exist"),
        ("/tmp", "/tmp is no file"),
        ("memory://bucket/slide.tif", "memory://bucket/slide.tif does not exist"),
        (
            "nowhere://a/slide.tif",
            "nowhere://a/slide.tif cannot be copied to this machine: .* use a path, file://, hdfs://",
        ),
    ],
)
def test_what_is_no_file_here_is_said_so(path: str, says: str) -> None:
    with pytest.raises(SlideOpenError, match=says):
        choose_reader(path)


def test_a_file_that_nothing_opens_names_what_was_tried(tmp_path: Path) -> None:
    path = tmp_path / "notes.tif"
    path.write_text("no image at all")
    with pytest.raises(SlideOpenError, match="opens neither as a slide nor as a flat image"):
        open_slide(str(path))


def test_file_uris_name_files_with_any_sign(tmp_path: Path) -> None:
    path = tmp_path / "a slide #1?.png"
    Image.fromarray(texture(20, 30)).save(path)
    for uri in (str(path), f"file://{path}", path.as_uri()):
        with open_slide(uri) as slide:
            assert slide.info.level_sizes == ((30, 20),)
