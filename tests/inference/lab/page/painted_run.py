"""A run whose heatmaps are painted by hand, so that the tests know what every pixel of the page has to show."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import tifffile
from numpy.typing import NDArray

from cluster.storage import Store
from inference.scores import SlideScore
from preprocessing import ledger
from preprocessing.ledger import Outcome
from preprocessing.readers.opening import read_info
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import save_recipe
from preprocessing.slide_entry import SlideEntry
from preprocessing.slide_facts import SlideFacts

MODEL = "painted-model"
_TILE = 128  # small, so that heatmaps have several tiles


@dataclass(frozen=True, eq=False)
class PaintedSlide:
    """A slide and what the run found on it.

    Attributes:
        slide_id: any text.
        path: of its file.
        downsample: level-0 pixels per pixel of the heatmap.
        heat: (h, w) uint8 as heatmaps are stored: 0 not judged, else 1 + 254 * probability.
        lesions: x, y, probability of each.
        area_mm2: of tumor.
    """

    slide_id: str
    path: Path
    downsample: int
    heat: NDArray[np.uint8]
    lesions: Sequence[tuple[int, int, float]]
    area_mm2: float | None


def write_run(
    out: Path, recipe: Recipe, done: Sequence[PaintedSlide], failed: Mapping[str, str], empty: Mapping[str, Path]
) -> None:
    """Write a run folder.

    Args:
        out: the folder.
        recipe: of the run.
        done: slides with results.
        failed: reasons by slide id; these slides have no file.
        empty: files by slide id.
    """
    store = Store(str(out))
    save_recipe(recipe, str(out))
    store.write_bytes(json.dumps({"model_id": MODEL}).encode(), "model.json")
    outcomes = [_outcome(slide.slide_id, slide.path, "done") for slide in done]
    outcomes += [_outcome(slide_id, path, "empty") for slide_id, path in empty.items()]
    for slide_id, reason in failed.items():
        entry = SlideEntry(slide_id, str(out / "gone.svs"), fingerprint="1")
        outcomes.append(Outcome(entry, "failed", error_type="SlideError", error=reason))
    for slide in done:
        _write_findings(out, slide)
    ledger.append(store, "infer", outcomes, recipe.recipe_id, ledger.latest(store, "infer"))


def _outcome(slide_id: str, path: Path, status: ledger.Status) -> Outcome:
    info = read_info(str(path))
    entry = SlideEntry(slide_id, str(path), fingerprint="1")
    error = "no tissue was found" if status == "empty" else None
    return Outcome(entry, status, SlideFacts(info, "direct", mpp=info.mpp), error=error, patches=9)


def _write_findings(out: Path, slide: PaintedSlide) -> None:
    for folder in ("slide_scores", "lesions", "heatmaps"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    top = (int(slide.heat.max()) - 1) / 254
    score = SlideScore(slide.slide_id, top, len(slide.lesions), slide.area_mm2, slide.area_mm2, MODEL, "by hand")
    pq.write_table(score.table(), out / "slide_scores" / f"{slide.slide_id}.parquet")
    lines = [f'"{slide.slide_id.replace(chr(34), chr(34) * 2)}",{x},{y},{p:.6f}\n' for x, y, p in slide.lesions]
    (out / "lesions" / f"{slide.slide_id}.csv").write_text("".join(lines))
    _write_heatmap(out / "heatmaps" / f"{slide.slide_id}.tif", slide)


def _write_heatmap(path: Path, slide: PaintedSlide) -> None:
    """A pyramid in which each pixel is the highest of the four above it."""
    levels = [slide.heat]
    while max(levels[-1].shape) > _TILE:
        height, width = levels[-1].shape
        even = np.pad(levels[-1], ((0, height % 2), (0, width % 2)))
        levels.append(np.maximum.reduce([even[i::2, j::2] for i in (0, 1) for j in (0, 1)]))
    says = {"histospark": "heatmap", "slide_id": slide.slide_id, "model_id": MODEL, "downsample": slide.downsample}
    says |= {"step": 4 * slide.downsample, "threshold": 0.5, "levels": len(levels)}
    with tifffile.TiffWriter(path) as file:
        for number, level in enumerate(levels):
            note = json.dumps(says) if number == 0 else None
            kind = int(number > 0)
            file.write(
                level, tile=(_TILE, _TILE), compression="zlib", subfiletype=kind, metadata=None, description=note
            )
