"""Units of work on Spark, one a task or many in a row; and a report of each, whatever happens to it."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from pyspark.sql import SparkSession

from cluster.worker import make_tasks_quick
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.unit_report import Failure, UnitReport

DoUnit = Callable[[SlidePlan, int], UnitReport]
"""Work on one unit, given its slide and its number within the slide."""

DoRun = Callable[[SlidePlan, range], Iterator[UnitReport]]
"""Work on consecutive units of a slide; gives the report of each, in their order."""

_TASKS_A_SLOT: Final = 4  # where slides are cut: glass costs nothing, so pieces of a slide differ


def over_units(
    spark: SparkSession, units: WaveUnits, do_unit: DoUnit, numbers: Sequence[int] | None = None
) -> list[UnitReport]:
    """Do some units of work, one Spark task each.

    Plain tasks instead of a DataFrame: what comes back is a handful of figures, for which Spark SQL and Arrow would
    take 25 ms of processor time a task, and these take 5.

    Args:
        spark: the session.
        units: of a wave; travels to the workers.
        do_unit: the work; what it raises becomes the unit's report.
        numbers: which units; None takes all.

    Returns:
        A report of each. Memory of the driver: that, and a number a unit.
    """

    def task(number: int) -> UnitReport:
        make_tasks_quick()
        plan, shard = units.at(number)
        try:
            return do_unit(plan, shard)
        except Exception as error:  # whatever one slide does, the others go on; the ledger gets the cause
            return UnitReport(plan.entry.slide_id, shard, failure=Failure.of(error))

    chosen = range(len(units)) if numbers is None else numbers
    return spark.sparkContext.parallelize(chosen, len(chosen)).map(task).collect() if chosen else []


def over_runs(spark: SparkSession, units: WaveUnits, do_run: DoRun) -> list[UnitReport]:
    """Do all units of a wave in runs, one Spark task each, so that what neighbors share is read once in a run.

    Args:
        spark: the session.
        units: of a wave; travels to the workers.
        do_run: the work; what it raises becomes the report of the unit it was at, and of those that were to follow.

    Returns:
        A report of each unit, by slide and in order.
    """

    def task(run: tuple[int, range]) -> list[UnitReport]:
        make_tasks_quick()
        slide, shards = run
        plan = units.plans[slide]
        reports: list[UnitReport] = []
        try:
            reports.extend(do_run(plan, shards))
        except Exception as error:  # as above
            failure = Failure.of(error)
            rest = shards[len(reports) :]
            reports += [UnitReport(plan.entry.slide_id, shard, failure=failure) for shard in rest]
        return reports

    runs = cut_runs([plan.shards for plan in units.plans], _slots(spark))
    if not runs:
        return []
    in_turn = sorted(runs, key=lambda run: -len(run[1]))  # the long ones first, so that none is waited for alone
    done = spark.sparkContext.parallelize(in_turn, len(in_turn)).map(task).collect()
    by_place = sorted(zip(in_turn, done, strict=True), key=lambda pair: (pair[0][0], pair[0][1].start))
    return [report for _, reports in by_place for report in reports]


def cut_runs(shards: Sequence[int], slots: int) -> list[tuple[int, range]]:
    """Share out the units of a wave as runs of consecutive units of one slide, whole slides where these suffice.

    Where there are at least two slides a slot, a slide is cut only if it is more than a slot's share of all work. Else
    about four pieces a slot are made, of even sizes within a slide.

    Args:
        shards: units of each slide, at least one.
        slots: tasks that run at a time.

    Returns:
        Number of the slide and its units, in order; none is empty.
    """
    share = sum(shards) / slots
    enough = slots == 1 or len(shards) >= 2 * slots
    most = max(1, math.ceil(share if enough else share / _TASKS_A_SLOT))
    runs = []
    for slide, count in enumerate(shards):
        pieces = -(-count // most)
        runs += [(slide, range(*ends)) for ends in pairwise(count * piece // pieces for piece in range(pieces + 1))]
    return runs


def _slots(spark: SparkSession) -> int:
    """Tasks that the session runs at a time, as far as it knows now."""
    context = spark.sparkContext
    return max(1, context.defaultParallelism // int(context.getConf().get("spark.task.cpus", "1")))
