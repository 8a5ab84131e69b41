"""Whether bfloat16 may be used: some windows of the run's own slides are judged in both precisions, on the workers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyspark import SparkFiles
from pyspark.sql import SparkSession

from cluster.stage_names import stage
from cluster.words import counted
from cluster.worker import make_tasks_quick
from inference.batches import full_batches
from inference.engines.base import Engine, Images
from inference.engines.choice import EngineSpec, loaded
from inference.engines.openvino_engine import computes_bfloat16
from preprocessing.isolation import isolated
from preprocessing.recipe import Recipe
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.slide_plan import SlidePlan
from preprocessing.survey import unit_candidates

WINDOWS: Final = 1024
_ONE_IN: Final = 4  # is judged in both precisions: the least decided ones,
_OF_ALL: Final = 16  # and one in so many, decided or not
_SLIDES: Final = 4  # looked at together
_OF_A_BLOCK: Final = 128  # at most, so that the windows come from several places
_GOLDEN: Final = (5**0.5 - 1) / 2


def _none() -> NDArray[np.float32]:
    return np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False)
class Probe:
    """Some windows, in one orientation.

    Attributes:
        seen: (m,) float32, probabilities in bfloat16.
        exact, quick: (n,) float32, of those among them that were compared, in float32 and in bfloat16.
        computes: every worker that was asked has instructions for bfloat16.
    """

    seen: NDArray[np.float32] = field(default_factory=_none)
    exact: NDArray[np.float32] = field(default_factory=_none)
    quick: NDArray[np.float32] = field(default_factory=_none)
    computes: bool = True

    @property
    def windows(self) -> int:
        """How many."""
        return len(self.seen)

    @property
    def largest_difference(self) -> float:
        """Of a probability; NaN where one is."""
        return float(np.abs(self.exact - self.quick).max(initial=0))

    def __add__(self, other: "Probe") -> "Probe":
        pairs = (self.seen, other.seen), (self.exact, other.exact), (self.quick, other.quick)
        seen, exact, quick = (np.concatenate(pair) for pair in pairs)
        return Probe(seen, exact, quick, self.computes and other.computes)


def probe_bfloat16(
    spark: SparkSession, plans: Sequence[SlidePlan], recipe: Recipe, spec: EngineSpec, staging: str
) -> Probe:
    """Judge about `WINDOWS` tissue windows of the first slides that have some in bfloat16, a quarter in float32, too.

    Args:
        spark: the session.
        plans: slides of a wave.
        recipe: from `prediction_recipe`.
        spec: of OpenVINO, its files sent to the workers.
        staging: URI below which `prepare` left the tissue masks.

    Returns:
        What was found; 0 windows where no slide has tissue, which costs a survey of all of them. Memory of a worker:
        two engines, a block, a batch, and a quarter of `WINDOWS` windows.
    """
    found = Probe()
    for start in range(0, len(plans), _SLIDES):
        some = plans[start : start + _SLIDES]
        each = -(-(WINDOWS - found.windows) // len(some))
        look = partial(_probe_slide, recipe=recipe, spec=spec, staging=staging, most=each)
        with stage(spark, f"probe bfloat16 on {counted(len(some), 'slide')}"):
            probes = spark.sparkContext.parallelize(some, len(some)).map(look).collect()
        for of_slide in probes:
            found += of_slide
        if found.windows >= WINDOWS or not found.computes:
            break
    return found


def _probe_slide(plan: SlidePlan, recipe: Recipe, spec: EngineSpec, staging: str, most: int) -> Probe:
    make_tasks_quick()
    if not computes_bfloat16():
        return Probe(computes=False)
    once = spec.once()  # each form of a window is judged by itself, so that is what has to agree
    exact, quick = (loaded(once.in_precision(it), SparkFiles.get(spec.file)) for it in ("float32", "bfloat16"))
    return compared(_windows_of(plan, recipe, staging, most), exact, quick, -(-most // _ONE_IN))


def compared(batches: Iterable[Images], exact: Engine, quick: Engine, most: int) -> Probe:
    """Judge windows quickly, and the `most` that tell most of the difference exactly, too.

    Args:
        batches: of windows; each may be overwritten once the next one is asked for.
        exact, quick: the same model in two precisions.
        most: windows that are compared: the least decided ones, and one in 16 of all.

    Returns:
        What was found. Memory: `most` windows, and twice a batch.
    """
    seen, ranks, answers = [_none()], _none(), _none()
    kept: Images = []
    for images in batches:
        answer = quick.predict([images])
        rank = np.nan_to_num(np.abs(answer - np.float32(0.5)), nan=-1)
        rank[::_OF_ALL] = -1
        ranks, answers = np.concatenate([ranks, rank]), np.concatenate([answers, answer])
        first = np.argsort(ranks, kind="stable")[:most]
        both = [np.concatenate(of_scale) for of_scale in zip(kept, images, strict=True)] if kept else images
        ranks, answers, kept = ranks[first], answers[first], [scale[first] for scale in both]
        seen.append(answer)
    return Probe(np.concatenate(seen), exact.predict([kept] if kept else []), answers)


def _windows_of(plan: SlidePlan, recipe: Recipe, staging: str, most: int) -> Iterator[Images]:
    """Batches of up to `most` tissue windows of a slide; fewer where it has no more or cannot be read."""
    size = recipe.inference.batch_size
    try:
        with isolated(plan.entry.slide_id, "probe", staging) as alive, plan.opened() as slide:
            places = _some_places(plan, slide, recipe, staging, most, alive)
            for _, images in full_batches(slide, places, recipe.tiling.window, size, plan.stain):
                yield images
    except Exception:  # it fails again when it is predicted, which the ledger tells; here others can stand in for it
        return


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
