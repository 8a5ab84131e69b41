"""The rules on thumbnails as they read in the docs, on whole images with scipy and skimage: slow and hungry."""

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import disk

EIGHT = np.ones((3, 3), bool)


def pixels(length_um: float, mpp: float | None) -> int:
    return max(1, round(length_um / (mpp or 8)))


def area(side_um: float, mpp: float | None) -> int:
    return max(1, round((side_um / (mpp or 8)) ** 2))


def dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    return ndimage.binary_dilation(mask, disk(radius))


def close(mask: np.ndarray, radius: int) -> np.ndarray:
    return ndimage.binary_erosion(dilate(mask, radius), disk(radius), border_value=1)


def large(mask: np.ndarray, least: int) -> np.ndarray:
    labels, count = ndimage.label(mask, EIGHT)
    sizes = ndimage.sum_labels(mask, labels, range(count + 1))
    return mask & (sizes >= least)[labels]


def around(mask: np.ndarray, seeds: np.ndarray, least: int) -> np.ndarray:
    return ndimage.binary_propagation(large(seeds, least), EIGHT, mask)


def filled(mask: np.ndarray, below: int) -> np.ndarray:
    gaps, count = ndimage.label(~mask)
    small = ndimage.sum_labels(~mask, gaps, range(count + 1)) < below
    small[np.unique(np.concatenate([gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]]))] = False
    return mask | small[gaps]


def saturation(rgb: np.ndarray) -> np.ndarray:
    value, least = rgb.max(axis=-1).astype(int), rgb.min(axis=-1)
    return (value - least) * 255 // np.maximum(value, 1)


def otsu(rgb: np.ndarray, mpp: float | None) -> np.ndarray:
    smooth = ndimage.median_filter(saturation(rgb), 3, mode="reflect")
    threshold = 0.07
    if len(np.unique(smooth)) > 1:
        counts = np.bincount(smooth.ravel(), minlength=256)
        cut = threshold_otsu(hist=(counts, np.arange(256)))
        glass = smooth[smooth <= cut].mean() / 255
        if glass <= 0.1:
            threshold = max(0.07, min(cut / 255, glass + 0.07))
    mask = close(smooth > 255 * threshold, pixels(32, mpp))
    return filled(large(mask, area(48, mpp)), area(200, mpp))


def pen(rgb: np.ndarray, mpp: float | None) -> np.ndarray:
    red, green, blue = np.moveaxis(rgb.astype(int), -1, 0)
    warm = red - np.maximum(green, blue)
    ink = around(warm >= 80, warm >= 130, area(80, mpp))
    colored = np.ptp(rgb.astype(int), axis=-1) >= 25
    if colored.any():
        excess = green - red
        ordered = np.sort(excess[colored])
        usual = ordered[(len(ordered) - 1) // 2]
        sure, perhaps = np.clip(usual + 55, 8, 50), np.clip(usual + 36, -12, 20)
        ink |= around(colored & (excess >= perhaps), colored & (excess >= sure), area(40, mpp))
    return dilate(ink, pixels(12, mpp))


def colorless(rgb: np.ndarray, mpp: float | None) -> np.ndarray:
    value, chroma = rgb.max(axis=-1).astype(int), np.ptp(rgb.astype(int), axis=-1)
    gray = chroma <= 15
    bright = np.sort(value[gray & (value >= 128)])
    glass = 255 if len(bright) < 0.01 * value.size else bright[(len(bright) - 1) // 2]
    black, perhaps = (value <= 100) & (chroma <= 25), (value <= 80) & (chroma <= 40)
    return (gray & (value <= int(0.85 * glass))) | black | around(black | perhaps, black, area(46, mpp))


def marks(dark: np.ndarray, mpp: float | None) -> np.ndarray:
    return dilate(large(dark, area(46, mpp)), pixels(12, mpp))
