"""Gray images of 8 to 16 bits: PNG and DICOM."""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray

from preprocessing.errors import SlideOpenError, SlideReadError
from preprocessing.readers.staged import staged

ENDINGS = (".png", ".dcm")


def read_gray(uri: str) -> NDArray[np.uint16]:
    """Read an image whole; the highest value that its bits can tell becomes 65535, bright is dense.

    Args:
        uri: of a `.png` or a `.dcm` file; elsewhere than on this machine it is copied to the cache first.

    Returns:
        (height, width) uint16. Memory: about 6 bytes a pixel while it is decoded.

    Raises:
        SlideOpenError: it is not there, or no such image.
        SlideReadError: it is damaged, or has colors.
    """
    with staged(uri) as copy:
        try:
            data = Path(copy.path).read_bytes()
        except OSError as error:
            raise SlideOpenError(f"{uri} cannot be opened: {error.strerror}") from error
    try:
        return _dicom(data) if uri.lower().endswith(".dcm") else _png(data)
    except Exception as error:  # the libraries raise nearly anything on damaged files
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise SlideReadError(f"{uri} cannot be decoded ({reason}): fetch it anew") from error


def write_gray(values: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """(height, width) as a gray PNG of the same depth."""
    return bytes(imagecodecs.png_encode(values))


def _png(data: bytes) -> NDArray[np.uint16]:
    values = np.asarray(imagecodecs.png_decode(data))
    return _stretched(values, 8 * values.dtype.itemsize)


def _dicom(data: bytes) -> NDArray[np.uint16]:
    image = pydicom.dcmread(io.BytesIO(data))
    values = _stretched(np.asarray(image.pixel_array), int(image.BitsStored))
    return ~values if image.PhotometricInterpretation == "MONOCHROME1" else values


def _stretched(values: NDArray[np.generic], bits: int) -> NDArray[np.uint16]:
    if values.ndim != 2 or values.dtype.kind != "u":
        raise ValueError(f"it is {values.dtype} of shape {values.shape}, not gray")
    highest = (1 << bits) - 1
    return np.rint(np.minimum(values.astype(np.float64), highest) * (65535 / highest)).astype(np.uint16)
