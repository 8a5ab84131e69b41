"""Finding candidate positions: judges tissue and truth of every window, block by block.

The NumPy core (`survey_block`) knows nothing of Spark; `survey` runs it over units of work.
"""

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession

from cluster.worker import make_tasks_quick
from preprocessing.grid import Block, Grid, to_level_0
from preprocessing.hashing import patch_ids
from preprocessing.isolation import isolated
from preprocessing.label_rule import label_windows
from preprocessing.labels import Truth, open_truth
from preprocessing.recipe import Recipe
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.tiling_settings import Tiling
from preprocessing.tissue_judge import TissueJudge

# A row is a candidate, or (x null) the report of a unit: how long it took, or how it failed.
CANDIDATE_COLUMNS: Final = (
    "slide_id string, shard int, patch_id long, x int, y int, column int, row int, label int, center_fraction float, "
    "tissue_fraction float, seconds double, error_type string, error string, trace string"
)


@dataclass(frozen=True)
class Candidates:
    """Positions worth a patch.

    Attributes:
        origins: (n, 2) int32, top-left of the scale-0 window, scale-0 pixels.
        tissue_fraction: (n,) float32, share of the window.
        label: (n,) int32; None where nothing is known.
        center_fraction: (n,) float32, annotated share of the center; None where nothing is known.
    """

    origins: NDArray[np.int32]
    tissue_fraction: NDArray[np.float32]
    label: NDArray[np.int32] | None
    center_fraction: NDArray[np.float32] | None


def joined(parts: Sequence[Candidates]) -> Candidates:
    """The candidates of some blocks of one slide together, in their order; at least one part."""
    labels = [part.label for part in parts if part.label is not None]
    shares = [part.center_fraction for part in parts if part.center_fraction is not None]
    return Candidates(
        np.concatenate([part.origins for part in parts]),
        np.concatenate([part.tissue_fraction for part in parts]),
        np.concatenate(labels) if labels else None,
        np.concatenate(shares) if shares else None,
    )


def survey_block(
    slide: ScaledSlide, origins: NDArray[np.int32], truth: Truth | None, judge: TissueJudge, tiling: Tiling
) -> Candidates:
    """Judge the windows of a block.

    All positives are candidates; of the others those with more tissue than `tissue.min_fraction`.

    Args:
        slide: open.
        origins: (n, 2) top-left corners, scale-0 pixels; neighbors, e.g. of one block.
        truth: what is annotated; None leaves the candidates unlabeled.
        judge: the tissue rule.
        tiling: window, tissue and label rules.
    """
    tissue = judge.fractions(slide, origins, tiling.window) if len(origins) else np.zeros(0, np.float32)
    keep = tissue > np.float32(tiling.tissue.min_fraction)
    if truth is None:
        return Candidates(origins[keep], tissue[keep], None, None)
    found = label_windows(truth, origins, tiling)
    keep |= found.label > 0
    return Candidates(origins[keep], tissue[keep], found.label[keep], found.fraction[keep])


def unit_candidates(
    slide: ScaledSlide,
    grid: Grid,
    blocks: Iterable[Block],
    truth: Truth | None,
    judge: TissueJudge,
    tiling: Tiling,
    alive: Callable[[], None],
) -> Iterator[Candidates]:
    """The candidates of some blocks, block by block; blocks without any are passed over.

    Args:
        slide: open.
        grid: where windows go.
        blocks: to be judged.
        truth, judge, tiling: as for `survey_block`.
        alive: called before every block, as a sign of life.
    """
    finest = slide.scales[0]
    for block in blocks:
        alive()
        found = survey_block(slide, block.origins(grid, finest.width, finest.height), truth, judge, tiling)
        if len(found.origins):
            yield found


def survey(spark: SparkSession, units: WaveUnits, recipe: Recipe, staging: str) -> DataFrame:
    """Find the candidates of many units of work.

    Args:
        spark: the session.
        units: of a wave; travels to the workers.
        recipe: what to cut.
        staging: URI below which `prepare` left the tissue masks.

    Returns:
        `CANDIDATE_COLUMNS`: the candidates, and one report of each unit. A unit that fails reports the error instead
        of stopping the job. Memory of a worker: about 16 bytes a pixel of a block.
    """

    def work(frames: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
        make_tasks_quick()
        for frame in frames:
            for index in frame["id"]:
                yield from _survey_unit(*units.at(int(index)), recipe, staging)

    return units.frame(spark).mapInPandas(work, CANDIDATE_COLUMNS)


def _survey_unit(plan: SlidePlan, shard: int, recipe: Recipe, staging: str) -> Iterator[pd.DataFrame]:
    """One frame a block, so that memory is bounded by a block; the report comes last."""
    started = time.monotonic()
    slide_id, finest = plan.entry.slide_id, plan.scales[0]
    try:
        judge, recipe_id = plan.judge(recipe, staging), recipe.recipe_id
        grid, blocks = plan.blocks(shard, recipe)
        truth_of = open_truth(plan.entry, plan.facts.info, finest.downsample, recipe.tiling.labels)
        with isolated(slide_id, f"survey {shard}", staging) as alive, plan.opened() as slide, truth_of as truth:
            for found in unit_candidates(slide, grid, blocks, truth, judge, recipe.tiling, alive):
                rows = candidate_rows(found, slide_id, finest.downsample, recipe_id)
                yield rows.assign(slide_id=slide_id, shard=shard, **_NO_REPORT)[list(_COLUMNS)]
        yield _report(slide_id=slide_id, shard=shard, seconds=time.monotonic() - started)
    except Exception as error:  # whatever one slide does, the others go on; the ledger gets the cause
        cause = {"error_type": type(error).__name__, "error": str(error), "trace": traceback.format_exc()}
        yield _report(slide_id=slide_id, shard=shard, **cause)


def candidate_rows(found: Candidates, slide_id: str, downsample: float, recipe_id: str) -> pd.DataFrame:
    """Candidates as rows.

    Args:
        found: of one slide.
        slide_id: of it.
        downsample: level-0 pixels per scale-0 pixel.
        recipe_id: of the recipe.

    Returns:
        `patch_id, x, y` (level-0 pixels), `column, row` (scale-0 pixels), `label` (nullable), `center_fraction`,
        `tissue_fraction`.
    """
    xy = to_level_0(found.origins, downsample)
    count = len(xy)
    return pd.DataFrame(
        {
            "patch_id": patch_ids(slide_id, recipe_id, xy),
            "x": xy[:, 0],
            "y": xy[:, 1],
            "column": found.origins[:, 0],
            "row": found.origins[:, 1],
            "label": pd.array([pd.NA] * count if found.label is None else found.label, "Int32"),
            "center_fraction": np.full(count, None) if found.center_fraction is None else found.center_fraction,
            "tissue_fraction": found.tissue_fraction,
        }
    )


_COLUMNS: Final = tuple(column.split()[0] for column in CANDIDATE_COLUMNS.split(", "))
_NO_REPORT: Final = {"seconds": None, "error_type": None, "error": None, "trace": None}


def _report(**known: object) -> pd.DataFrame:
    return pd.DataFrame([dict.fromkeys(_COLUMNS) | known])
