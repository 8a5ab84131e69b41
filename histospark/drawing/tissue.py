"""Tissue as two dyes: how much hematoxylin and eosin every pixel of a lymph node holds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion

from histospark.drawing.nuclei import (
    FOLLICLE,
    LYMPHOCYTE,
    SPINDLE,
    TUMOR,
    TUMOR_DARK,
    Kind,
    lattice,
    sprites,
    stamp,
)
from histospark.drawing.planes import Plane, inside, noise, stretch
from histospark.drawing.shapes import Plan, blob

_SPRITES = 160  # different nuclei of each kind


@dataclass(frozen=True, eq=False)
class Zones:
    """What grows where: (side, side) bool planes; the last five part the tissue among them.

    Attributes:
        tissue: all tissue.
        lesion: tumor, but for the thin septa of stroma in it.
        fat: adipose tissue at the margin.
        stroma: collagen with few nuclei.
        follicle: germinal centers, paler and larger nuclei than around.
        dense: tightly packed lymphocytes.
        loose: lymphocytes further apart.
    """

    tissue: NDArray[np.bool_]
    lesion: NDArray[np.bool_]
    fat: NDArray[np.bool_]
    stroma: NDArray[np.bool_]
    follicle: NDArray[np.bool_]
    dense: NDArray[np.bool_]
    loose: NDArray[np.bool_]


def zones(rng: np.random.Generator, plan: Plan) -> Zones:
    """Part the tissue of a plan into zones, at random but for the lesions.

    Args:
        rng: source of chance.
        plan: the outlines.

    Returns:
        The zones; the proportions differ from slide to slide.
    """
    side = plan.side
    tissue = inside(plan.tissue, side)
    lesion = inside(plan.lesions, side) & ~inside(plan.exclusions, side)
    normal = tissue & ~lesion
    node = inside(plan.tissue[:1], side, 3)
    rind = stretch_mask(node, side) & ~stretch_mask(binary_erosion(node, iterations=side // 90), side)
    fat = normal & rind & (noise(rng, side, side / 5) > rng.uniform(0.15, 0.4))
    middles = lattice(rng, normal, side / 4.5, 0.2)
    rounds = [blob(rng, rng.uniform(90, 190), 0.08, 48) + xy for xy in middles[:: int(rng.integers(2, 4))]]
    follicle = normal & ~fat & inside(rounds, side)
    rest = normal & ~fat & ~follicle
    relief = noise(rng, side, 330) + 0.3 * noise(rng, side, 90)
    septa = np.abs(noise(rng, side, 150) + 0.2 * noise(rng, side, 50)) < 0.035
    capsule = rest & ~stretch_mask(binary_erosion(tissue[4::8, 4::8], iterations=4), side)
    bands = np.abs(noise(rng, side, 420) + 0.15 * noise(rng, side, 110)) < rng.uniform(0.06, 0.11)
    stroma = (lesion & septa) | rest & (capsule | bands | (relief < rng.uniform(-0.95, -0.75)))
    dense = rest & ~stroma & (relief > rng.uniform(-0.2, 0.1))
    lesion &= ~septa
    return Zones(tissue, lesion, fat, stroma, follicle, dense, rest & ~stroma & ~dense)


def stretch_mask(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Enlarge a mask to (side, side) with smooth edges."""
    enlarged: NDArray[np.bool_] = stretch(mask.astype(np.float32), side) > 0.5
    return enlarged


def eosin(rng: np.random.Generator, zones: Zones) -> Plane:
    """Paint cytoplasm and collagen: fibers in stroma, granules in tumor, gaps between lymphocytes.

    Args:
        rng: source of chance.
        zones: what grows where.

    Returns:
        (side, side) float32 density of eosin, natural absorbance; 0 on glass.
    """
    side = len(zones.tissue)
    half = side // 2  # all but the finest grain is painted at half the resolution
    flow = 20 * noise(rng, half, 130) + 5.5 * noise(rng, half, 35) + 1.8 * noise(rng, half, 9)
    y, x = np.ogrid[:half, :half]
    lean = rng.uniform(0, np.pi)
    fibers = np.sin(flow + (x * np.cos(lean) + y * np.sin(lean)).astype(np.float32) / 2.25)
    fibers *= 0.6 + 0.5 * noise(rng, half, 15)
    soft, middle = noise(rng, half, 30), noise(rng, half, 4.5)
    gaps = np.clip(1.1 - 1.4 * np.abs(noise(rng, half, 13) + 0.3 * middle - 0.1), 0, 1)
    plane = 0.36 + 0.10 * soft + 0.12 * middle - 0.16 * gaps
    collagen = 0.52 + 0.16 * fibers + 0.08 * soft
    tumor = 0.44 + 0.05 * soft + 0.08 * middle - 0.25 * np.maximum(gaps - 0.75, 0)
    web = 0.16 + 0.05 * fibers + 0.08 * middle
    for zone, paint in ((zones.stroma, collagen), (zones.lesion, tumor), (zones.fat, web)):
        plane += soften(zone, half) * (paint - plane)
    grain = 0.08 * noise(rng, side, 2.5)
    grain += stretch(plane, side)
    return np.maximum(grain, 0.05) * soften(zones.tissue, side)


def soften(mask: NDArray[np.bool_], side: int) -> Plane:
    """Turn a mask into weights from 0 to 1, (side, side), that change over some 10 pixels of the mask."""
    share = np.asarray(Image.fromarray(mask.view(np.uint8) * np.uint8(255)).reduce(8), dtype=np.float32) / 255
    return np.clip(stretch(share, side), 0, 1)


def hematoxylin(rng: np.random.Generator, zones: Zones) -> Plane:
    """Paint the nuclei of every zone, and the faint blue of cytoplasm.

    Args:
        rng: source of chance.
        zones: what grows where.

    Returns:
        (side, side) float32 density of hematoxylin, natural absorbance; 0 on glass.
    """
    side = len(zones.tissue)
    plane = np.where(zones.tissue, 0.07 + 0.04 * noise(rng, side, 40), 0).astype(np.float32)
    lymph = zones.dense | zones.loose
    sowing: list[tuple[Kind, NDArray[np.bool_], float, float]] = [
        (LYMPHOCYTE, zones.dense, 21.5, 0.13),
        (LYMPHOCYTE, zones.loose, 29.0, 0.20),
        (FOLLICLE, zones.follicle, 25.0, 0.14),
        (SPINDLE, zones.stroma, 44.0, 0.25),
        (LYMPHOCYTE, zones.stroma, 80.0, 0.30),
        (SPINDLE, lymph, 95.0, 0.30),
        (FOLLICLE, lymph, 85.0, 0.30),
        (TUMOR, zones.lesion, 42.0, 0.12),
        (TUMOR_DARK, zones.lesion, 130.0, 0.30),
        (LYMPHOCYTE, zones.lesion, 150.0, 0.30),
    ]
    libraries = {kind: sprites(rng, kind, _SPRITES) for kind in (LYMPHOCYTE, FOLLICLE, SPINDLE, TUMOR, TUMOR_DARK)}
    for kind, where, spacing, jitter in sowing:
        stamp(plane, libraries[kind], lattice(rng, where, spacing, jitter), rng)
    return np.maximum(plane, 0) * soften(zones.tissue, side)
