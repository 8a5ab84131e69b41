"""Units of work on Spark: a task each, and a report of each, whatever happens to it."""

from collections.abc import Callable, Sequence

from pyspark.sql import SparkSession

from cluster.worker import make_tasks_quick
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.unit_report import Failure, UnitReport

DoUnit = Callable[[SlidePlan, int], UnitReport]
"""Work on one unit, given its slide and its number within the slide."""


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
