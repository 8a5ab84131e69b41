"""A first look at slides, on the workers: does each open, does the recipe fit it, how much work is it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from pyspark.sql import DataFrame, SparkSession

from cluster.worker import keep_archive_listings
from preprocessing.inventory import SlideEntry
from preprocessing.ledger import Outcome, failed_by
from preprocessing.slides import Slide, SlideInfo, check_fit
from preprocessing.survey import count_shards
from preprocessing.tiling_settings import Tiling


@dataclass(frozen=True)
class Probed:
    """A slide that can be worked on.

    Attributes:
        entry: the slide.
        info: what it says of itself.
        shards: units of work.
    """

    entry: SlideEntry
    info: SlideInfo
    shards: int


def probe(spark: SparkSession, entries: Sequence[SlideEntry], tiling: Tiling) -> tuple[list[Probed], list[Outcome]]:
    """Open each slide once and sort out those that cannot be used.

    Args:
        spark: the session.
        entries: the slides of a wave.
        tiling: what is to be cut.

    Returns:
        The usable slides, and the failures with their reason.
    """
    looked = spark.sparkContext.parallelize(entries, len(entries)).map(partial(_look, tiling=tiling)).collect()
    good = [result for result in looked if isinstance(result, Probed)]
    bad = [result for result in looked if isinstance(result, Outcome)]
    return good, bad


def _look(entry: SlideEntry, tiling: Tiling) -> Probed | Outcome:
    keep_archive_listings()
    info = None
    try:
        with Slide(entry.path) as slide:
            info = slide.info
            check_fit(slide, tiling)
            return Probed(entry, info, count_shards(slide, tiling))
    except Exception as error:  # whatever one slide does, the others go on; the ledger gets the cause
        return failed_by(entry, error, info)


def units_of(spark: SparkSession, probed: Sequence[Probed]) -> DataFrame:
    """The units of work of a wave: `slide_id string, shard int`, one row and one Spark task each."""
    rows = [(slide.entry.slide_id, shard) for slide in probed for shard in range(slide.shards)]
    return spark.createDataFrame(rows, "slide_id string, shard int").repartitionByRange(len(rows), "slide_id", "shard")
