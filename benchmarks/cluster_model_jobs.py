"""Our jobs on paper: waves with a barrier after each step, tasks handed out in order to whichever core is free.

Pure arithmetic. What a slide is and what things cost come from outside; how a slide is cut into units, and units into
runs, is the product's own code, so that the model cannot drift away from it.
"""

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from preprocessing.grid import Grid, count_shards
from preprocessing.recipe import Recipe
from preprocessing.unit_tasks import cut_runs

Kind = Literal["one pass", "drawn", "infer"]
"""Tiling that keeps all patches; tiling that surveys, draws and extracts; inference."""


@dataclass(frozen=True)
class Slide:
    """A slide as the model sees it.

    Attributes:
        width, height: at scale 0, pixels.
        tissue: share of it that passes the tissue rule, 0 to 1.
        patches: most that tiling takes of it; None takes every window of tissue.
    """

    width: int
    height: int
    tissue: float
    patches: int | None = None


@dataclass(frozen=True)
class Costs:
    """What things take, seconds; a task's are those of one core with nothing else on it.

    Attributes:
        area: of a unit, for each million scale-0 pixels, glass or not.
        window: for each window of tissue that is found (inference: judged).
        patch: for each patch that is cut and written.
        prepare: of a slide: opening it, its proof, its thumbnail.
        assemble: of a slide in inference, for each million places of its grid, tissue or not.
        task: what every task takes besides.
        dispatch: of the driver for each task; no two at a time.
        publish: of the driver for each slide: into place, and its mark.
        wave: of the driver for each wave: ledger, lock, the start of its steps.
        job: of the driver for each job: listing, lock, ledger.
    """

    area: float
    window: float
    patch: float
    prepare: float
    task: float
    dispatch: float
    publish: float
    wave: float
    job: float
    assemble: float = 0.0


@dataclass(frozen=True)
class Cluster:
    """Where the tasks run.

    Attributes:
        slots: tasks at a time.
        slowdown: how many times as long a task takes as on a core of its own; 2 where two slots share a core.
    """

    slots: int
    slowdown: float = 1.0


@dataclass(frozen=True)
class Prediction:
    """Where the seconds of a job go; the parts add up to the whole.

    Attributes:
        busy: all work of all tasks, shared out evenly over the slots.
        idle: slots without a task: the driver has not handed one out yet, or the last ones of a step are waited for.
        driver: nothing runs but the driver.
        longest: the longest task.
        dispatched: the driver's share of `idle` and `busy`, handing out tasks.
    """

    busy: float
    idle: float
    driver: float
    longest: float
    dispatched: float

    @property
    def seconds(self) -> float:
        """Of the whole job."""
        return self.busy + self.idle + self.driver


def makespan(tasks: Sequence[float], slots: int, dispatch: float = 0.0) -> float:
    """Seconds from the start of the first task to the end of the last; each goes to the slot that is free first.

    Args:
        tasks: seconds of each, in the order in which they are handed out.
        slots: tasks at a time.
        dispatch: seconds of the driver for each task; it hands them out one after the other.
    """
    free = [0.0] * min(slots, len(tasks))
    end = 0.0
    for number, seconds in enumerate(tasks, start=1):
        done = max(heapq.heappop(free), number * dispatch) + seconds
        heapq.heappush(free, done)
        end = max(end, done)
    return end


def count_units(slide: Slide, recipe: Recipe) -> int:
    """Units of work of a slide, by the product's own arithmetic."""
    tiling = recipe.tiling
    grid = Grid(tiling.window, tiling.stride, tiling.offset)
    return count_shards(grid, slide.width, slide.height, tiling.block, tiling.blocks_per_shard)


def unit_tissue(slide: Slide, units: int) -> list[float]:
    """Share of tissue in each unit of a slide: it lies in one piece, so that some units are full and most are glass."""
    full = slide.tissue * units
    return [min(1.0, max(0.0, full - number)) for number in range(units)]


def simulate(
    slides: Sequence[Slide], recipe: Recipe, kind: Kind, costs: Costs, cluster: Cluster, wave: int
) -> Prediction:
    """Predict a job.

    Args:
        slides: in the order of the job.
        recipe: for inference from `prediction_recipe`.
        kind: of the job.
        costs: measured.
        cluster: where it runs.
        wave: slides worked on together.
    """
    busy = idle = longest = dispatched = 0.0
    driver = costs.job
    for start in range(0, len(slides), wave):
        together = slides[start : start + wave]
        driver += costs.wave + len(together) * costs.publish
        for tasks in _steps(together, recipe, kind, costs, cluster.slots):
            slowed = [(seconds + costs.task) * cluster.slowdown for seconds in tasks]
            if not slowed:
                continue
            even = sum(slowed) / cluster.slots
            busy += even
            dispatched += len(slowed) * costs.dispatch
            idle += makespan(slowed, cluster.slots, costs.dispatch) - even
            longest = max(longest, *slowed)
    return Prediction(busy, idle, driver, longest, dispatched)


def best_wave(
    slides: Sequence[Slide], recipe: Recipe, kind: Kind, costs: Costs, cluster: Cluster
) -> tuple[int, Prediction]:
    """The smallest wave, of the powers of two from 8 on, that is within 5 % of the fastest: a crash costs a wave."""
    sizes = [2**power for power in range(3, math.ceil(math.log2(max(16, len(slides)))) + 1)]
    found = [(size, simulate(slides, recipe, kind, costs, cluster, size)) for size in sizes]
    fastest = min(prediction.seconds for _, prediction in found)
    return next((size, told) for size, told in found if told.seconds <= 1.05 * fastest)


def _steps(slides: Sequence[Slide], recipe: Recipe, kind: Kind, costs: Costs, slots: int) -> Iterator[Sequence[float]]:
    """Seconds of the tasks of each step of a wave, in the order in which Spark gets them."""
    yield [costs.prepare] * len(slides)
    works = [_units(slide, recipe, costs) for slide in slides]
    if kind == "infer":
        runs = sorted(cut_runs([len(work) for work in works], slots), key=lambda run: -len(run[1]))
        yield [sum(works[slide][unit].judged for unit in units) for slide, units in runs]
        places = [slide.width * slide.height / recipe.tiling.stride**2 for slide in slides]
        yield [count / 1e6 * costs.assemble for count in places]
    elif kind == "one pass":
        yield [unit.judged + unit.written for work in works for unit in work]
    else:
        yield [unit.judged for work in works for unit in work]
        yield [0.0] * len(slides)  # the draw counts a few numbers of each slide
        yield [unit.written for work in works for unit in work if unit.written]


@dataclass(frozen=True)
class _Unit:
    """Seconds of a unit: to find (and judge) its windows, and to cut and write its patches."""

    judged: float
    written: float


def _units(slide: Slide, recipe: Recipe, costs: Costs) -> list[_Unit]:
    count = count_units(slide, recipe)
    if not count:
        return []
    area = slide.width * slide.height / count
    windows = [share * area / recipe.tiling.stride**2 for share in unit_tissue(slide, count)]
    kept = 1.0 if slide.patches is None else min(1.0, slide.patches / max(sum(windows), 1.0))
    judged = area / 1e6 * costs.area
    return [_Unit(judged + found * costs.window, found * kept * costs.patch) for found in windows]


def ideal(slides: Sequence[Slide], recipe: Recipe, kind: Kind, costs: Costs) -> float:
    """Seconds on one core with all slides in one wave: what speed-ups are told against."""
    free = replace(costs, dispatch=0.0)
    return simulate(slides, recipe, kind, free, Cluster(1), max(1, len(slides))).seconds
