"""Finding candidate positions: judges tissue and truth of every window, block by block.

The NumPy core (`survey_block`) knows nothing of Spark; `survey` runs it over units of work.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
from pyspark.sql import SparkSession

from cluster.stage_names import stage
from cluster.words import counted
from preprocessing.candidates import Candidates, candidate_table, certain_of, joined, keep_candidates, positives_of
from preprocessing.grid import Block, Grid
from preprocessing.isolation import isolated
from preprocessing.marks import Windows
from preprocessing.placement import Known, left_out, open_known, windows_of
from preprocessing.recipe import Recipe
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.tiling_settings import Tiling
from preprocessing.tissue_judge import TissueJudge
from preprocessing.unit_report import UnitReport
from preprocessing.unit_tasks import over_units


def survey_block(slide: ScaledSlide, windows: Windows, judge: TissueJudge, tiling: Tiling) -> Candidates:
    """Judge the windows of a block.

    Those that are certain are candidates; of the others those with more tissue than `tissue.min_fraction`.

    Args:
        slide: open.
        windows: neighbors, e.g. of one block.
        judge: the tissue rule.
        tiling: window and tissue rule.
    """
    origins, label, fraction = windows.origins, windows.label, windows.fraction
    tissue = judge.fractions(slide, origins, tiling.window) if len(origins) else np.zeros(0, np.float32)
    keep = (tissue > np.float32(tiling.tissue.min_fraction)) | windows.certain
    of_label = None if label is None else label[keep]
    of_fraction = None if fraction is None else fraction[keep]
    return Candidates(origins[keep], tissue[keep], of_label, of_fraction, windows.certain[keep])


def unit_candidates(
    slide: ScaledSlide,
    grid: Grid,
    blocks: Iterable[Block],
    known: Known,
    judge: TissueJudge,
    tiling: Tiling,
    alive: Callable[[], None],
) -> Iterator[Candidates]:
    """The candidates of some blocks, block by block; blocks without any are passed over.

    Args:
        slide: open.
        grid: where windows go.
        blocks: to be judged.
        known: of the slide.
        judge, tiling: as for `survey_block`.
        alive: called before every block, as a sign of life.
    """
    finest = slide.scales[0]
    for block in blocks:
        alive()
        origins = block.origins(grid, finest.width, finest.height)
        found = survey_block(slide, windows_of(block, origins, known, tiling), judge, tiling)
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
    known_of = open_known(plan, recipe)
    with isolated(slide_id, f"survey {shard}", staging) as alive, plan.opened() as slide, known_of as known:
        parts = list(unit_candidates(slide, grid, blocks, known, judge, recipe.tiling, alive))
    lost = left_out(known, blocks)
    if not parts:
        return UnitReport(slide_id, shard, seconds=time.monotonic() - started, left_out=lost)
    table = candidate_table(joined(parts), slide_id, finest.downsample, recipe.recipe_id)
    keep_candidates(table, staging, slide_id, shard)
    positives, certain = int(positives_of(table).sum()), int(certain_of(table).sum())
    seconds = time.monotonic() - started
    return UnitReport(slide_id, shard, len(table), positives, seconds, certain=certain, left_out=lost)
