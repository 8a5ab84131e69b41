"""From what an image file holds to 8-bit RGB: the steps that all kinds of flat images share."""

import numpy as np
from numpy.typing import NDArray

UPRIGHT = 1
TURNED = {5, 6, 7, 8}
"""Orientations that swap width and height."""


def to_eight_bits(values: NDArray[np.generic], bits: int) -> NDArray[np.uint8]:
    """Scale whole numbers of `bits` bits to 0..255: `value * 255 / (2^bits - 1)`, rounded. Any shape.

    Args:
        values: uint8, uint16 or bool; the highest possible value is `2^bits - 1`, larger ones become 255.
        bits: 1 to 16.
    """
    if bits == 8 and values.dtype == np.uint8:
        return values  # type: ignore[return-value]
    highest = (1 << bits) - 1
    steps = np.arange(1 << 8 * max(values.dtype.itemsize, 1), dtype=np.float64)
    table = np.rint(np.minimum(steps, highest) * 255 / highest).astype(np.uint8)
    return table[values.view(np.uint8) if values.dtype == bool else values]


def straight_alpha(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(h, w, n) pixels whose colors were multiplied by their alpha, the last channel: the colors as they were."""
    alpha = pixels[..., -1:].astype(np.float32)
    colors = pixels[..., :-1] * (255 / np.maximum(alpha, 1))
    return np.concatenate([np.rint(np.minimum(colors, 255)).astype(np.uint8), pixels[..., -1:]], axis=-1)


def as_color(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gray, gray and alpha, RGB or RGBA as RGB; as RGBA where some of it shows through.

    Args:
        pixels: (h, w) or (h, w, 1..4).

    Returns:
        (h, w, 3) or (h, w, 4).
    """
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    channels = pixels.shape[2]
    if channels in {2, 4} and pixels[..., -1].min() == 255:  # all of it is opaque
        pixels, channels = pixels[..., :-1], channels - 1
    if channels == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    elif channels == 2:
        pixels = pixels[..., [0, 0, 0, 1]]
    return np.ascontiguousarray(pixels)


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn an image as its orientation (1..8, EXIF and TIFF tag 274) asks for; other numbers leave it as it is."""
    if orientation in TURNED:
        pixels = pixels.swapaxes(0, 1)  # rows become columns; what is left are mirrors
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
