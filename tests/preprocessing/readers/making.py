"""Slides made for the tests of readers, with tifffile: what the format allows and what goes wrong."""

import struct
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

APERIO = "Aperio Image Library v1\n{width}x{height} test|AppMag = 20|MPP = 0.4990"


def texture(height: int, width: int, seed: int = 1) -> NDArray[np.uint8]:
    """Colored blobs and grain: (height, width, 3) uint8, different everywhere."""
    rng = np.random.default_rng(seed)
    blobs = rng.integers(60, 255, (height // 16 + 2, width // 16 + 2, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(blobs).resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    return np.clip(smooth + rng.integers(-12, 12, (height, width, 1)), 0, 255).astype(np.uint8)


def halved(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((image.shape[1] // 2, image.shape[0] // 2), Image.Resampling.BOX))


def write_pyramid(
    path: Path,
    image: NDArray[np.uint8],
    levels: int = 1,
    tile: int = 128,
    rgb: bool = False,
    big: bool = False,
    subifds: bool = False,
    aperio: bool = False,
    missing: tuple[tuple[int, int], ...] = (),
    byteorder: str = "<",
    tables: bytes | None = b"",
) -> Path:
    """A tiled TIFF with JPEG tiles, as scanners write them: tables in a tag, tiles without any marker of colors.

    Args:
        missing: tiles of level 0 that the slide lacks, as (column, row).
        tables: other tables than the right ones; None for tiles that are whole JPEG files.
    """
    height, width, _ = image.shape
    form = {
        "dtype": np.uint8,
        "tile": (tile, tile),
        "compression": "jpeg",
        "photometric": "rgb" if rgb else "ycbcr",
        "resolution": (20000, 20000),
        "resolutionunit": "CENTIMETER",
        "metadata": None,
    }
    if rgb:
        form["compressionargs"] = {"outcolorspace": "rgb"}  # else tifffile tags it as YCbCr
    if tables is not None:
        used = tables or split_jpeg(encoded(image[:tile, :tile], rgb))[0]
        form["extratags"] = [(347, 7, len(used), used, True)]
    if aperio:
        form["description"] = APERIO.format(width=width, height=height)
    with tifffile.TiffWriter(path, bigtiff=big, byteorder=byteorder) as writer:
        for level in range(levels):
            first = level == 0
            kind = {"subfiletype": 0 if first or aperio else 1}
            if subifds and first:
                kind["subifds"] = levels - 1
            tiles = _tiles(image, tile, rgb, tables is not None, missing if first else ())
            writer.write(tiles, shape=image.shape, **form, **kind)
            image = halved(image)
    return path


def encoded(image: NDArray[np.uint8], rgb: bool) -> bytes:
    """A JPEG file, in YCbCr with halved chroma, or in RGB."""
    if rgb:
        return imagecodecs.jpeg8_encode(image, level=85, colorspace="rgb", outcolorspace="rgb")
    return imagecodecs.jpeg8_encode(image, level=85, colorspace="rgb", outcolorspace="ycbcr", subsampling="420")


def split_jpeg(jpeg: bytes) -> tuple[bytes, bytes]:
    """The tables of a JPEG file as a stream of their own, and the rest without them and without markers of colors."""
    tables, rest, place = b"", b"", 2
    while jpeg[place + 1] != 0xDA:  # start of scan
        end = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        if jpeg[place + 1] in {0xDB, 0xC4}:
            tables += jpeg[place:end]
        elif jpeg[place + 1] not in {0xE0, 0xEE}:
            rest += jpeg[place:end]
        place = end
    return b"\xff\xd8" + tables + b"\xff\xd9", b"\xff\xd8" + rest + jpeg[place:]


def _tiles(
    image: NDArray[np.uint8], tile: int, rgb: bool, shared: bool, missing: tuple[tuple[int, int], ...]
) -> Iterator[bytes]:
    for y in range(0, image.shape[0], tile):
        for x in range(0, image.shape[1], tile):
            if (x // tile, y // tile) in missing:
                yield b""
                continue
            piece = image[y : y + tile, x : x + tile]
            fill = (0, tile - piece.shape[0]), (0, tile - piece.shape[1]), (0, 0)
            jpeg = encoded(np.pad(piece, fill, mode="edge"), rgb)
            yield split_jpeg(jpeg)[1] if shared else jpeg


def change_tag(path: Path, code: int, value: int, page: int = 0) -> None:
    """Write another whole number over the value of a tag that holds one number."""
    with tifffile.TiffFile(path) as file:
        tag = file.pages[page].tags[code]
        form = file.byteorder + {3: "H", 4: "I", 16: "Q"}[int(tag.dtype)]
        place = tag.valueoffset
    overwrite(path, place, struct.pack(form, value))


def overwrite(path: Path, place: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(data)


def tile_place(path: Path, column: int, row: int) -> tuple[int, int]:
    """Where a tile of the first page lies: offset and size in bytes, as tifffile finds it."""
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        index = row * -(-page.imagewidth // page.tilewidth) + column
        return page.dataoffsets[index], page.databytecounts[index]


def place_of_list(path: Path, code: int, index: int) -> tuple[int, str]:
    """Where the value of a tile lies in a list of the first page (324 offsets, 325 sizes), and its `struct` form."""
    with tifffile.TiffFile(path) as file:
        tag = file.pages.first.tags[code]
        form = file.byteorder + {3: "H", 4: "I", 16: "Q"}[int(tag.dtype)]
        return tag.valueoffset + index * struct.calcsize(form), form
