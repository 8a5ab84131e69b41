"""Whole drawn slides with their annotations, and the set that the demo runs on."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histospark.drawing import files
from histospark.drawing.marks import INKS, pen, vacuoles
from histospark.drawing.parallel import in_parallel
from histospark.drawing.planes import Polygon
from histospark.drawing.shapes import Plan, plan
from histospark.drawing.stain import develop, draw_stain
from histospark.drawing.tissue import eosin, hematoxylin, zones
from preprocessing.hashing import stable_hash

_SMALLEST = 512
_MULTIPLE = 2 ** (files.LEVELS - 1)
_PEN_CHANCE = 0.75

# Name, lesions, exclusions.
_DEMO = (
    ("tumor_01", 3, 0),
    ("tumor_02", 3, 1),
    ("tumor_03", 4, 0),
    ("normal_01", 0, 0),
    ("normal_02", 0, 0),
    ("normal_03", 0, 0),
    ("tumor_unseen", 3, 0),
)


@dataclass(frozen=True, eq=False)
class DrawnSlide:
    """One slide as it was drawn.

    Attributes:
        slide_id: name of the slide and of its files.
        path: the pyramidal TIFF; a slide with lesions has `NAME.xml` and `NAME_mask.tif` beside it.
        lesions: tumor polygons, (n, 2) float64 x, y in level-0 pixels.
        side: width and height, level-0 pixels.
        exclusions: polygons of normal tissue cut out of the lesions.
    """

    slide_id: str
    path: Path
    lesions: tuple[Polygon, ...]
    side: int
    exclusions: tuple[Polygon, ...] = ()


def paint(rng: np.random.Generator, plan: Plan) -> NDArray[np.uint8]:
    """Paint a planned slide.

    Args:
        rng: source of chance.
        plan: the outlines.

    Returns:
        (side, side, 3) uint8, RGB at 0.25 um per pixel.
    """
    for_stain, for_zones, for_eosin, for_nuclei, for_fat, for_pen, for_light = rng.spawn(7)
    stain = draw_stain(for_stain)
    where = zones(for_zones, plan)
    hole, wall = vacuoles(for_fat, where.fat, where.dense | where.loose)
    pink = eosin(for_eosin, where)
    purple = hematoxylin(for_nuclei, where)
    pink = np.maximum(pink * (1 - hole), 0.55 * wall * where.tissue)
    layers = [(purple * (1 - hole), stain.hematoxylin), (pink, stain.eosin)]
    if for_pen.random() < _PEN_CHANCE:
        layers.append((pen(for_pen, plan.tissue[0], plan.side), INKS[for_pen.integers(len(INKS))]))
    return develop(for_light, stain, layers)


def draw_slide(
    folder: Path, slide_id: str, seed: int, side: int = 3072, lesions: int = 3, *, exclusions: int = 0
) -> DrawnSlide:
    """Draw one slide of 5 levels, level 0 at 0.25 um per pixel; the same arguments give the same bytes.

    The slide appears last and under its own name only when it is complete.

    Args:
        folder: where the files go; made where it is missing.
        slide_id: name of the files.
        seed: source of all chance.
        side: width and height, level-0 pixels, a multiple of 16 from 512 on.
        lesions: number of lesions; 0 draws a normal slide, which has no XML and no mask.
        exclusions: number of lesions, largest first, that enclose a hole of normal tissue.

    Returns:
        What was drawn.

    Raises:
        ValueError: for a side that has no 5 whole levels, or more exclusions than lesions.
    """
    if side < _SMALLEST or side % _MULTIPLE:
        raise ValueError(f"side must be a multiple of {_MULTIPLE} and at least {_SMALLEST}, not {side}")
    if not 0 <= exclusions <= lesions:
        raise ValueError(f"{exclusions} exclusions do not fit {lesions} lesions: each lies inside a lesion of its own")
    for_plan, for_paint = np.random.default_rng(seed).spawn(2)
    outlines = plan(for_plan, side, lesions, exclusions)
    image = paint(for_paint, outlines)
    folder.mkdir(parents=True, exist_ok=True)
    slide, xml, mask = (folder / f"{slide_id}{end}" for end in (".tif", ".xml", "_mask.tif"))
    if lesions:
        files.write_annotation(xml, outlines.lesions, outlines.exclusions)
        files.write_mask(mask, side, outlines.lesions, outlines.exclusions)
    else:
        for stale in (xml, mask):
            stale.unlink(missing_ok=True)
    files.write_slide(slide, image)
    return DrawnSlide(slide_id, slide, outlines.lesions, side, outlines.exclusions)


def draw_demo_slides(folder: Path, seed: int, side: int = 3072) -> list[DrawnSlide]:
    """Draw the slides of the demo: three with tumor, three without, and one with tumor that no model has seen.

    Args:
        folder: where the files go; made where it is missing.
        seed: one number for the whole set; each slide's own seed is a hash of its name and this.
        side: width and height of every slide, level-0 pixels.

    Returns:
        tumor_01 to tumor_03, normal_01 to normal_03, tumor_unseen.
    """
    return in_parallel(
        [
            (partial(draw_slide, exclusions=exclusions), (folder, name, stable_hash(name, seed), side, lesions))
            for name, lesions, exclusions in _DEMO
        ]
    )
