"""A small TUPAC16, drawn: slides with their scores, and the auxiliary fields with their mitoses, as published."""

from pathlib import Path
from typing import Final

import numpy as np
import tifffile

from histospark.drawing import files
from histospark.drawing.parallel import Task, in_parallel
from histospark.drawing.planes import inside
from histospark.drawing.shapes import plan
from histospark.drawing.tumor_fields import paint_field
from preprocessing.hashing import stable_hash

MITOSES_PER_MM2: Final = {1: 15.0, 2: 70.0, 3: 160.0}
"""By score; real counts are lower, and slides larger."""
_SPACING: Final = {1: 52.0, 2: 43.0, 3: 36.0}  # of nuclei: growth crowds them
_TEST: Final = 2  # slides without a score


def draw_tupac16(folder: Path, seed: int, slides: int = 24, side: int = 3072) -> None:
    """Draw the slides and the list of scores; the same arguments give the same pixels.

    Args:
        folder: gets `training_image_data/`, `testing_image_data/` and `training_ground_truth.csv`.
        seed: source of all chance.
        slides: with a score; 1, 2 and 3 take turns.
        side: width and height of a slide, level-0 pixels, a multiple of 16.
    """
    scores = [1 + number % 3 for number in range(slides)]
    lines = [f"{score},{0.4 * (score - 2) + 0.01 * number:.4f}" for number, score in enumerate(scores)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "training_ground_truth.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = [(f"training_image_data/TUPAC-TR-{number:03d}.svs", score) for number, score in enumerate(scores, 1)]
    names += [(f"testing_image_data/TUPAC-TE-{number:03d}.svs", number) for number in range(1, _TEST + 1)]
    in_parallel([(_draw_slide, (folder / name, stable_hash(name, seed), score, side)) for name, score in names])


def draw_mitoses(folder: Path, seed: int, cases: int = 10, fields: int = 1, side: int = 1024) -> None:
    """Draw the auxiliary set; the same arguments give the same pixels.

    Where cases have several fields, every sixth has no mitosis, and no list. Numbers of cases go through all
    laboratories.

    Args:
        folder: gets `mitoses_image_data_part_1/CASE/IMAGE.tif` and `mitoses_ground_truth/CASE/IMAGE.csv`.
        seed: source of all chance.
        cases: each of one patient.
        fields: of each case.
        side: width and height of a field, pixels; real ones have 2000 to 5657.
    """
    tasks: list[Task] = []
    for number in range(cases):
        case = f"{1 + number * 73 // cases:02d}"
        for field in range(1, fields + 1):
            none = fields > 1 and (number + field) % 6 == 0
            name = f"{case}/{field:02d}"
            tasks.append((_draw_field, (folder, name, stable_hash(name, seed), side, 0.0 if none else 250.0)))
    in_parallel(tasks)


def _draw_slide(path: Path, seed: int, score: int, side: int) -> None:
    for_plan, for_paint = np.random.default_rng(seed).spawn(2)
    tissue = inside(plan(for_plan, side, 1, 0).tissue, side)
    field = paint_field(for_paint, tissue, MITOSES_PER_MM2[score], spacing=_SPACING[score])
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_aperio(path, field.pixels)


def _draw_field(folder: Path, name: str, seed: int, side: int, per_mm2: float) -> None:
    field = paint_field(np.random.default_rng(seed), np.ones((side, side), np.bool_), per_mm2)
    image, listed = (
        folder / "mitoses_image_data_part_1" / f"{name}.tif",
        folder / "mitoses_ground_truth" / f"{name}.csv",
    )
    for path in (image, listed):
        path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(image) as part:
        tifffile.imwrite(part, field.pixels, photometric="rgb", metadata=None)
    if len(field.mitoses):
        listed.write_text("".join(f"{y},{x}\n" for x, y in field.mitoses.tolist()), encoding="utf-8")
