"""Whether bfloat16 may be used: some windows of the run's own slides are judged in both precisions, on the workers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyspark import SparkFiles
from pyspark.sql import SparkSession

from cluster.worker import make_tasks_quick
from inference.batches import full_batches
from inference.engines.base import Images
from inference.engines.choice import EngineSpec, loaded
from inference.engines.openvino_engine import computes_bfloat16
from preprocessing.isolation import isolated
from preprocessing.recipe import Recipe
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.slide_plan import SlidePlan
from preprocessing.survey import unit_candidates

WINDOWS: Final = 256
_SLIDES: Final = 4  # looked at together
_OF_A_BLOCK: Final = 32  # at most, so that the windows come from several places
_GOLDEN: Final = (5**0.5 - 1) / 2


@dataclass(frozen=True, eq=False)
class Probe:
    """Some windows, judged in both precisions.

    Attributes:
        exact, quick: (n,) float32, their probabilities in float32 and in bfloat16, in one orientation.
        computes: every worker that was asked has instructions for bfloat16.
    """

    exact: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    quick: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    computes: bool = True

    @property
    def windows(self) -> int:
        """How many."""
        return len(self.exact)

    @property
    def largest_difference(self) -> float:
        """Of a probability; NaN where one is."""
        return float(np.abs(self.exact - self.quick).max(initial=0))

    def __add__(self, other: "Probe") -> "Probe":
        exact, quick = (np.concatenate(both) for both in ((self.exact, other.exact), (self.quick, other.quick)))
        return Probe(exact, quick, self.computes and other.computes)


def probe_bfloat16(
    spark: SparkSession, plans: Sequence[SlidePlan], recipe: Recipe, spec: EngineSpec, staging: str
) -> Probe:
    """Judge about `WINDOWS` tissue windows of the first slides that have some in float32 and in bfloat16.

    Args:
        spark: the session.
        plans: slides of a wave.
        recipe: from `prediction_recipe`.
        spec: of OpenVINO, its files sent to the workers.
        staging: URI below which `prepare` left the tissue masks.

    Returns:
        What was found; 0 windows where no slide has tissue, which costs a survey of all of them. Memory of a worker:
        two engines, a block, and `WINDOWS` windows.
    """
    found = Probe()
    for start in range(0, len(plans), _SLIDES):
        some = plans[start : start + _SLIDES]
        each = -(-(WINDOWS - found.windows) // len(some))
        look = partial(_probe_slide, recipe=recipe, spec=spec, staging=staging, most=each)
        for of_slide in spark.sparkContext.parallelize(some, len(some)).map(look).collect():
            found += of_slide
        if found.windows >= WINDOWS or not found.computes:
            break
    return found


def _probe_slide(plan: SlidePlan, recipe: Recipe, spec: EngineSpec, staging: str, most: int) -> Probe:
    make_tasks_quick()
    if not computes_bfloat16():
        return Probe(computes=False)
    images = _windows_of(plan, recipe, staging, most)
    if images is None:
        return Probe()
    once = replace(spec, orientations=1)  # each orientation is judged by itself, so that is what has to agree
    exact = loaded(once.in_precision("float32"), SparkFiles.get(spec.file)).predict([images])
    quick = loaded(once.in_precision("bfloat16"), SparkFiles.get(spec.file)).predict([images])
    return Probe(exact, quick)


def _windows_of(plan: SlidePlan, recipe: Recipe, staging: str, most: int) -> Images | None:
    """Up to `most` tissue windows of a slide; None where it has none or cannot be read."""
    try:
        with isolated(plan.entry.slide_id, "probe", staging) as alive, plan.opened() as slide:
            places = _some_places(plan, slide, recipe, staging, most, alive)
            batches = [images for _, images in full_batches(slide, places, recipe.tiling.window, most, plan.stain)]
    except Exception:  # it fails again when it is predicted, which the ledger tells; here others can stand in for it
        return None
    return batches[0] if batches else None


def _some_places(
    plan: SlidePlan, slide: ScaledSlide, recipe: Recipe, staging: str, most: int, alive: Callable[[], None]
) -> Iterator[NDArray[np.int32]]:
    """Tissue windows from all over a slide, block by block, `most` in all: corners (n, 2), scale-0 pixels."""
    tissue = plan.judge(recipe, staging)
    left = most
    for shard in np.argsort(np.arange(plan.shards) * _GOLDEN % 1).tolist():  # any first few are spread over the slide
        grid, mine = plan.blocks(shard, recipe)
        for found in unit_candidates(slide, grid, mine, None, tissue, recipe.tiling, alive):
            count = min(len(found.origins), left, _OF_A_BLOCK)
            yield found.origins[np.linspace(0, len(found.origins) - 1, count).astype(np.int64)]
            left -= count
            if left == 0:
                return
