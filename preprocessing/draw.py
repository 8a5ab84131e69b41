"""The draw of a wave: for every slide, how many normals are taken and below which hash; on Spark, a task a slide."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from cluster.stage_names import stage
from cluster.words import counted
from cluster.worker import make_tasks_quick
from preprocessing.candidates import certain_of, kept_candidates
from preprocessing.inventory import SlideEntry
from preprocessing.selection import first_not_drawn, most_normals
from preprocessing.tiling_settings import Sampling
from preprocessing.unit_report import Failure, UnitReport


@dataclass(frozen=True)
class Found:
    """What the survey found on a slide.

    Attributes:
        entry: the slide.
        shards: units that have candidates.
        positives: candidates of all of them with a label above 0.
        normals: candidates that may be drawn: the others, what has no label, all of a slide that is labeled as a whole.
    """

    entry: SlideEntry
    shards: tuple[int, ...]
    positives: int
    normals: int

    @classmethod
    def of(cls, entry: SlideEntry, reports: Sequence[UnitReport]) -> "Found":
        """From the reports of its units."""
        normals = sum(report.rows - report.certain for report in reports)
        shards = tuple(report.shard for report in reports if report.rows)
        return cls(entry, shards, sum(report.positives for report in reports), normals)

    def wanted(self, sampling: Sampling) -> int:
        """How many of the normals are to be taken."""
        most = most_normals(self.positives, sampling, self.entry.max_normals)
        return self.normals if most is None else min(most, self.normals)


@dataclass(frozen=True)
class Draw:
    """What is taken of a slide: all that are certain, and `normals` of the others.

    Attributes:
        normals: their number.
        limit: the lowest `patch_id` of the normals that are not taken; None where all are.
        failure: why it could not be drawn.
    """

    normals: int
    limit: int | None = None
    failure: Failure | None = None


def draw(spark: SparkSession, found: Sequence[Found], sampling: Sampling, staging: str) -> dict[str, Draw]:
    """Draw the normals of many slides, each by itself.

    Args:
        spark: the session.
        found: of slides whose survey went well.
        sampling: the limits of the recipe.
        staging: URI below which the survey kept the candidates.

    Returns:
        By slide_id. Memory of a worker: the hashes of a unit, and what `first_not_drawn` needs.
    """
    wanted = {slide.entry.slide_id: slide.wanted(sampling) for slide in found}
    draws = {slide_id: Draw(normals) for slide_id, normals in wanted.items()}
    todo = [(slide, wanted[slide.entry.slide_id]) for slide in found if wanted[slide.entry.slide_id] < slide.normals]
    if todo:
        with stage(spark, f"draw normals of {counted(len(todo), 'slide')}"):
            drawn = spark.sparkContext.parallelize(todo, len(todo)).map(partial(_draw, staging=staging)).collect()
        draws |= drawn
    return draws


def _draw(todo: tuple[Found, int], staging: str) -> tuple[str, Draw]:
    make_tasks_quick()
    slide, wanted = todo
    slide_id = slide.entry.slide_id
    try:
        hashes = partial(_normals, staging, slide_id, slide.shards)
        return slide_id, Draw(wanted, first_not_drawn(hashes, wanted))
    except Exception as error:  # whatever one slide does, the others go on; the ledger gets the cause
        return slide_id, Draw(wanted, failure=Failure.of(error))


def _normals(staging: str, slide_id: str, shards: Sequence[int]) -> Iterator[NDArray[np.int64]]:
    """The hashes of a slide's normals, unit by unit."""
    for shard in shards:
        candidates = kept_candidates(staging, slide_id, shard, ("patch_id", "certain"))
        yield candidates["patch_id"].to_numpy()[~certain_of(candidates)]
