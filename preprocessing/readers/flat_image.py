"""PNG and JPEG files, and which kind a flat image is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin

from preprocessing.errors import SlideError, SlideOpenError, SlideReadError
from preprocessing.readers.flat_header import FlatHeader, plausible_mpp
from preprocessing.readers.flat_pixels import UPRIGHT, as_color, to_eight_bits, upright
from preprocessing.readers.flat_tiff import tiff_header, tiff_pixels

_ORIENTATION = 274
_MICROMETERS_PER_INCH = 25400.0


@dataclass(frozen=True)
class _Kind:
    """How one kind of file is read. `header` and `pixels` raise whatever their libraries raise on a damaged file."""

    starts: tuple[bytes, ...]
    header: Callable[[str], FlatHeader]
    pixels: Callable[[str], NDArray[np.uint8]]


def read_header(path: str) -> FlatHeader:
    """What a flat image says of itself, without decoding it.

    Raises:
        SlideOpenError: the file is missing, of another kind, or damaged.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise SlideOpenError(f"{path} cannot be opened: {error.strerror}") from error
    kind = next((name for name, kind in _KINDS.items() if start.startswith(kind.starts)), None)
    if kind is None:
        raise SlideOpenError(f"{path} is no PNG, JPEG or TIFF file")
    try:
        return _KINDS[kind].header(path)
    except SlideError:
        raise
    except Exception as error:  # the libraries raise nearly anything on damaged files
        raise SlideOpenError(f"{path} cannot be opened as {kind}: {error}; copy the file anew") from error


def read_pixels(path: str, header: FlatHeader) -> NDArray[np.uint8]:
    """The upright image: (height, width, 3) RGB, or (height, width, 4) RGBA where some of it shows through.

    Raises:
        SlideReadError: the file is damaged.
    """
    try:
        pixels = upright(as_color(_KINDS[header.kind].pixels(path)), header.orientation)
    except MemoryError as error:
        raise SlideReadError(f"{path}: too little memory for its {header.width}x{header.height} px") from error
    except Exception as error:  # see above
        raise SlideReadError(f"{path} cannot be decoded: {error}; copy the file anew") from error
    if pixels.shape[:2] != (header.height, header.width):
        raise SlideReadError(f"{path} is not of the size that its header says; copy the file anew")
    return pixels


def _png_header(path: str) -> FlatHeader:
    with PngImagePlugin.PngImageFile(path) as image:
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
        return FlatHeader.of("png", image.size, exif.get(_ORIENTATION, UPRIGHT), _mpp_by_dpi(image))


def _png_pixels(path: str) -> NDArray[np.uint8]:
    values = imagecodecs.png_decode(Path(path).read_bytes())  # low depths and palettes come out as 8 bits
    return to_eight_bits(values, 8 * values.dtype.itemsize)


def _jpeg_header(path: str) -> FlatHeader:
    with JpegImagePlugin.JpegImageFile(path) as image:
        if image.mode not in {"L", "RGB"}:
            raise SlideOpenError(f"{path} is a JPEG in {image.mode} colors; save it as RGB")
        return FlatHeader.of("jpeg", image.size, image.getexif().get(_ORIENTATION, UPRIGHT), _mpp_by_dpi(image))


def _jpeg_pixels(path: str) -> NDArray[np.uint8]:
    return simplejpeg.decode_jpeg(Path(path).read_bytes(), "RGB")


def _mpp_by_dpi(image: Image.Image) -> float | None:
    dots = image.info.get("dpi", (0, 0))[0]
    return plausible_mpp(_MICROMETERS_PER_INCH / float(dots)) if dots else None


_KINDS = {
    "png": _Kind((b"\x89PNG\r\n\x1a\n",), _png_header, _png_pixels),
    "jpeg": _Kind((b"\xff\xd8\xff",), _jpeg_header, _jpeg_pixels),
    "tiff": _Kind((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), tiff_header, tiff_pixels),
}
