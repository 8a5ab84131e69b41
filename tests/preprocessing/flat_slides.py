"""Flat images as slides, drawn for placements: even on the left, tissue on the right, noise all over."""

from pathlib import Path

import numpy as np
from PIL import Image


def flat_slide(path: Path, width: int, height: int, glass: int, seed: int = 1, of_glass: int = 250) -> Path:
    """A PNG whose first `glass` columns are `of_glass`, and the others busy and dark."""
    pixels = np.random.default_rng(seed).integers(40, 190, (height, width, 3), np.uint8)
    pixels[:, :glass] = of_glass
    Image.fromarray(pixels).save(path)
    return path
