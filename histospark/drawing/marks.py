"""What is neither cell nor glass: fat vacuoles in the tissue and the strokes of a pen on the slide."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from histospark.drawing.nuclei import lattice
from histospark.drawing.planes import Plane, Polygon, noise, stretch

_PEN_STEP = 4  # pens are drawn on a plane this much coarser

INKS = (
    np.array([1.3, 0.75, 0.15], dtype=np.float32),  # blue
    np.array([1.4, 0.35, 0.95], dtype=np.float32),  # green
    np.array([1.5, 1.45, 1.35], dtype=np.float32),  # black
)
"""Natural absorbance of red, green and blue light by one layer of ink."""


def vacuoles(rng: np.random.Generator, fat: NDArray[np.bool_], lymph: NDArray[np.bool_]) -> tuple[Plane, Plane]:
    """Draw round holes: packed in fat, rare elsewhere.

    Args:
        rng: source of chance.
        fat: (side, side) bool, adipose tissue.
        lymph: (side, side) bool, where a single vacuole may lie.

    Returns:
        Two (side, side) float32 planes from 0 to 1: the hole, and the membrane around it.
    """
    side = len(fat)
    hole, wall = (np.zeros((side, side), dtype=np.float32) for _ in range(2))
    library = [_vacuole(rng, rng.uniform(40, 60)) for _ in range(12)]
    small = [_vacuole(rng, rng.uniform(12, 26)) for _ in range(12)]
    jobs = [(library, lattice(rng, fat, 104, 0.07)), (small, lattice(rng, fat, 90, 0.3))]
    jobs.append((small, lattice(rng, lymph, 420, 0.35)))
    for sprites, points in jobs:
        for (x, y), pick in zip(points.tolist(), rng.integers(len(sprites), size=len(points)).tolist(), strict=True):
            _overlay(hole, wall, sprites[pick], x, y)
    return hole, wall * (1 - hole)


def _vacuole(rng: np.random.Generator, radius: float) -> tuple[Plane, Plane]:
    half = int(radius * 1.25) + 5
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    angle = np.arctan2(y, x)
    reach = 1 + 0.06 * np.cos(2 * angle + rng.uniform(0, 6.3)) + 0.05 * np.cos(3 * angle + rng.uniform(0, 6.3))
    beyond = np.hypot(x, y) - radius * reach  # pixels outside the membrane
    return np.clip(0.5 - beyond / 2, 0, 1), np.exp(-(((beyond - 1.5) / 2.0) ** 2)).astype(np.float32)


def _overlay(hole: Plane, wall: Plane, sprite: tuple[Plane, Plane], x: int, y: int) -> None:
    side, half = len(hole), len(sprite[0]) // 2
    x0, y0, x1, y1 = max(x - half, 0), max(y - half, 0), min(x + half + 1, side), min(y + half + 1, side)
    cut = np.s_[y0 - y + half : y1 - y + half, x0 - x + half : x1 - x + half]
    for plane, layer in zip((hole, wall), sprite, strict=True):
        part = plane[y0:y1, x0:x1]
        np.maximum(part, layer[cut], out=part)


def pen(rng: np.random.Generator, outline: Polygon, side: int) -> Plane:
    """Draw one stroke of a felt pen along the tissue, now and then touching it.

    Args:
        rng: source of chance.
        outline: (n, 2) float64, the tissue, level-0 pixels.
        side: side of the slide, pixels.

    Returns:
        (side, side) float32 thickness of the ink, layers; 0 where there is none.
    """
    count = len(outline)
    run = (int(rng.integers(count)) + np.arange(int(count * rng.uniform(0.12, 0.25)))) % count
    middle = outline.mean(axis=0)
    away = np.linspace(rng.uniform(0.98, 1.10), rng.uniform(1.0, 1.14), len(run))[:, None]
    path = (middle + (outline[run] - middle) * away) / _PEN_STEP
    canvas = Image.new("L", (side // _PEN_STEP, side // _PEN_STEP))
    brush = ImageDraw.Draw(canvas)
    width = max(3, round(side * rng.uniform(0.014, 0.022) / _PEN_STEP))
    points = [(float(x), float(y)) for x, y in path]
    brush.line(points, fill=255, width=width, joint="curve")
    for end in (points[0], points[-1]):
        brush.circle(end, width / 2, fill=255)
    canvas = canvas.filter(ImageFilter.GaussianBlur(1.5))
    cover = np.clip(stretch(np.asarray(canvas, dtype=np.float32) / 255, side), 0, 1)
    streaks = 1 + 0.15 * noise(rng, side, 22) + 0.15 * noise(rng, side, 140)
    ink: Plane = cover * np.clip(streaks, 0.5, None)
    return ink
