"""Thumbnails of 8 µm per pixel painted by absorbance (Beer-Lambert), with the truth of what was painted where."""

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

MPP = 8.0
HEMATOXYLIN = np.array([0.65, 0.70, 0.29])  # Ruifrok & Johnston 2001
EOSIN = np.array([0.07, 0.99, 0.11])
INKS = {
    "blue": np.array([1.3, 0.75, 0.15]),
    "green": np.array([1.4, 0.35, 0.95]),
    "red": np.array([0.12, 1.5, 1.25]),
    "black": np.array([1.5, 1.45, 1.35]),
}


def glass(height: int = 600, width: int = 500, seed: int = 0) -> np.ndarray:
    """Bare glass with a little noise."""
    noise = np.random.default_rng(seed).normal(0, 1.5, (height, width, 3))
    return np.clip(243 + noise, 0, 255).round().astype(np.uint8)


def tissue_place(height: int = 600, width: int = 500) -> np.ndarray:
    """An ellipse in the middle."""
    y, x = np.mgrid[:height, :width]
    return ((y - height / 2) / (height * 0.3)) ** 2 + ((x - width / 2) / (width * 0.3)) ** 2 < 1


def slide(seed: int = 0) -> np.ndarray:
    """Glass with a lymph node: patches rich in nuclei next to pink ones, grain in both."""
    rng = np.random.default_rng(seed)
    light = glass(seed=seed)
    shape = light.shape[:2]
    zones = ndimage.gaussian_filter(rng.normal(size=shape), 25)
    nuclei = np.where(zones > 0, 0.7, 0.15) * rng.uniform(0.5, 1.5, shape)
    pink = 0.35 * rng.uniform(0.6, 1.4, shape)
    absorbed = nuclei[..., None] * HEMATOXYLIN + pink[..., None] * EOSIN
    return absorb(light, absorbed * tissue_place()[..., None])


def absorb(light: np.ndarray, absorbance: np.ndarray) -> np.ndarray:
    """Light after one more layer of dye; natural absorbance per channel."""
    return (light * np.exp(-absorbance)).round().astype(np.uint8)


def stroke(points: list[tuple[int, int]], width: int, shape: tuple[int, int] = (600, 500)) -> np.ndarray:
    """A pen's path with soft rims, (h, w) float from 0 to 1."""
    canvas = Image.new("L", shape[::-1])
    ImageDraw.Draw(canvas).line(points, fill=255, width=width, joint="curve")
    return ndimage.gaussian_filter(np.asarray(canvas) / 255, 1)


def cross(center: tuple[int, int], shape: tuple[int, int] = (600, 500)) -> np.ndarray:
    """A registration mark of 80 pixels, (h, w) bool."""
    mark = np.zeros(shape, bool)
    x, y = center
    mark[y - 40 : y + 40, x - 10 : x + 10] = True
    mark[y - 10 : y + 10, x - 40 : x + 40] = True
    return mark
