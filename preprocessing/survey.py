"""Finding candidate positions: judges tissue and truth of every window, block by block.

The NumPy core (`survey_block`) knows nothing of Spark; `survey` runs it over units of work.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from cluster.stage_names import stage
from cluster.words import counted
from preprocessing.candidates import Candidates, candidate_table, joined, keep_candidates, positives_of
from preprocessing.grid import Block, Grid
from preprocessing.isolation import isolated
from preprocessing.label_rule import label_windows
from preprocessing.labels import Truth, open_truth
from preprocessing.recipe import Recipe
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.tiling_settings import Tiling
from preprocessing.tissue_judge import TissueJudge
from preprocessing.unit_report import UnitReport
from preprocessing.unit_tasks import over_units


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


def survey(spark: SparkSession, units: WaveUnits, recipe: Recipe, staging: str) -> list[UnitReport]:
    """Find the candidates of many units of work, and keep them below staging.

    Args:
        spark: the session.
        units: of a wave; travels to the workers.
        recipe: what to cut.
        staging: URI below which `prepare` left the tissue masks; the candidates go there, too.

    Returns:
        A report of each unit, with the number of candidates. Memory of a worker: about 16 bytes a pixel of a block, and
        40 bytes a candidate of a unit.
    """
    name = f"survey {counted(len(units), 'unit')} of {counted(len(units.plans), 'slide')}"
    with stage(spark, name):
        return over_units(spark, units, partial(_survey_unit, recipe=recipe, staging=staging))


def _survey_unit(plan: SlidePlan, shard: int, recipe: Recipe, staging: str) -> UnitReport:
    started = time.monotonic()
    slide_id, finest = plan.entry.slide_id, plan.scales[0]
    judge = plan.judge(recipe, staging)
    grid, blocks = plan.blocks(shard, recipe)
    truth_of = open_truth(plan.entry, plan.facts.info, finest.downsample, recipe.tiling.labels)
    with isolated(slide_id, f"survey {shard}", staging) as alive, plan.opened() as slide, truth_of as truth:
        parts = list(unit_candidates(slide, grid, blocks, truth, judge, recipe.tiling, alive))
    if not parts:
        return UnitReport(slide_id, shard, seconds=time.monotonic() - started)
    table = candidate_table(joined(parts), slide_id, finest.downsample, recipe.recipe_id)
    keep_candidates(table, staging, slide_id, shard)
    positives = int(positives_of(table).sum())
    return UnitReport(slide_id, shard, len(table), positives, time.monotonic() - started)
