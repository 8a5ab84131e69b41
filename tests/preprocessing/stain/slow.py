"""Both methods the slow and obvious way, straight from the papers, in float64 and one step at a time; and drawn slides.

Shares no code with the project. The plane of the stains comes from an SVD, amounts from least squares.
"""

import numpy as np
from PIL import Image

HEMATOXYLIN = np.array([0.54598845, 0.72385198, 0.42182333])  # as published with deep-histopath
EOSIN = np.array([0.322116, 0.76419107, 0.55879629])
SATURATION = np.array([0.82791151, 0.61137274])


def density(rgb: np.ndarray) -> np.ndarray:
    return -np.log10(np.maximum(rgb.reshape(-1, 3).astype(float), 1) / 255)


def macenko_fit(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stains (3, 2) and the 99th percentile of each one's amount."""
    stained = np.array([row for row in density(rgb) if row.min() >= 0.15])
    _, _, directions = np.linalg.svd(stained, full_matrices=False)
    first, second = (v if v.sum() > 0 else -v for v in directions[:2])
    angles = np.arctan2(stained @ second, stained @ first)
    low, high = np.percentile(angles, 1), np.percentile(angles, 99)
    rims = [np.cos(angle) * first + np.sin(angle) * second for angle in (low, high)]
    stains = np.stack(sorted(rims, key=lambda rim: -rim[0]), axis=1)
    amounts, *_ = np.linalg.lstsq(stains, stained.T, rcond=None)
    return stains, np.percentile(np.maximum(amounts, 0), 99, axis=1)


def macenko(rgb: np.ndarray, stains: np.ndarray, saturation: np.ndarray) -> np.ndarray:
    amounts, *_ = np.linalg.lstsq(stains, density(rgb).T, rcond=None)
    amounts *= (SATURATION / saturation)[:, None]
    light = 255 * 10 ** -(np.stack([HEMATOXYLIN, EOSIN], axis=1) @ amounts)
    return np.clip(np.rint(light.T), 0, 255).reshape(rgb.shape)


def lab(rgb: np.ndarray) -> np.ndarray:
    red, green, blue = (np.maximum(rgb.reshape(-1, 3).astype(float), 1) / 255).T
    long = np.log10(0.3811 * red + 0.5783 * green + 0.0402 * blue)
    middle = np.log10(0.1967 * red + 0.7244 * green + 0.0782 * blue)
    short = np.log10(0.0241 * red + 0.1288 * green + 0.8444 * blue)
    light = (long + middle + short) / np.sqrt(3)
    return np.stack([light, (long + middle - 2 * short) / np.sqrt(6), (long - middle) / np.sqrt(2)], axis=1)


def reinhard(rgb: np.ndarray, mean: np.ndarray, deviation: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Without regard to glass."""
    light, alpha, beta = ((lab(rgb) - mean) * wanted[3:] / deviation + wanted[:3]).T
    base, opponent = light / np.sqrt(3) + alpha / np.sqrt(6), beta / np.sqrt(2)
    long, middle, short = base + opponent, base - opponent, light / np.sqrt(3) - 2 * alpha / np.sqrt(6)
    cones = 10 ** np.stack([long, middle, short])
    to_rgb = np.linalg.inv([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
    return np.clip(np.rint(255 * (to_rgb @ cones).T), 0, 255).reshape(rgb.shape)


def stained(stains: np.ndarray, strength: tuple[float, float], side: int = 300, seed: int = 1) -> np.ndarray:
    """A slide of two stains (3, 2): pixels of the one, of the other and of all mixtures, the upper tenth bare glass."""
    rng = np.random.default_rng(seed)
    share = np.clip(rng.uniform(-0.4, 1.4, side * side), 0, 1)  # many pure ones
    amount = rng.uniform(0.6, 1.0, side * side)
    amounts = np.stack([share * amount * strength[0], (1 - share) * amount * strength[1]])
    amounts[:, : side * side // 10] = 0
    light = 255 * 10 ** -(stains @ amounts)
    return np.rint(light.T).astype(np.uint8).reshape(side, side, 3)


def angle(one: np.ndarray, other: np.ndarray) -> float:
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def averaged(rgb: np.ndarray, factor: int) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb).reduce(factor))
