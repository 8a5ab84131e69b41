"""Runs of units: how a wave is shared out, and that every unit is reported once, whatever happens to one."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from pyspark.sql import SparkSession

from preprocessing.errors import SlideReadError
from preprocessing.inventory import SlideEntry
from preprocessing.readers.base import SlideInfo
from preprocessing.readers.opening import ReaderChoice
from preprocessing.slide_facts import SlideFacts
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.unit_report import UnitReport
from preprocessing.unit_tasks import cut_runs, over_runs

WAVES = [[9], [1], [300], [1, 1, 1], [40, 3, 17], [5] * 32, [7, 300, 2] * 10, [1] * 100]


@pytest.mark.parametrize("slots", [1, 2, 3, 16, 400])
@pytest.mark.parametrize("shards", WAVES, ids=str)
def test_runs_cover_every_unit_once_in_order(shards: list[int], slots: int) -> None:
    runs = cut_runs(shards, slots)
    found = [(slide, shard) for slide, run in runs for shard in run]
    assert found == [(slide, shard) for slide, count in enumerate(shards) for shard in range(count)]
    assert all(len(run) > 0 for _, run in runs)


@pytest.mark.parametrize("slots", [1, 2, 3, 16])
@pytest.mark.parametrize("shards", WAVES, ids=str)
def test_pieces_of_a_slide_are_even_and_not_too_many(shards: list[int], slots: int) -> None:
    runs = cut_runs(shards, slots)
    assert len(runs) <= 4 * slots + len(shards)
    for (slide, run), (next_slide, next_run) in pairwise(runs):
        assert slide != next_slide or abs(len(run) - len(next_run)) <= 1


def test_few_slides_keep_every_slot_busy_and_many_stay_whole() -> None:
    assert len(cut_runs([300], 8)) == pytest.approx(32, abs=2)
    assert len(cut_runs([9], 1)) == 1
    assert len(cut_runs([9], 100)) == 9
    assert len(cut_runs([9, 10, 8, 9], 2)) == 4
    assert len(cut_runs([100, 120, 80] * 20, 16)) == 60


def test_a_giant_among_many_is_cut_so_that_nobody_waits_for_it() -> None:
    runs = cut_runs([5] * 31 + [900], 4)
    assert [len(run) for slide, run in runs if slide == 31] == [225] * 4
    assert len(runs) == 31 + 4


@pytest.fixture
def wave() -> WaveUnits:
    info = SlideInfo(((100, 100),), (1.0,), None, None, "none")
    facts = SlideFacts(info, "direct", "", None, None)
    plan = SlidePlan(SlideEntry("a", "a.tif"), facts, ReaderChoice("direct"), (), 50)
    return WaveUnits([plan, replace(plan, entry=SlideEntry("b", "b.tif"), shards=3)])


def test_a_unit_that_fails_costs_what_follows_in_its_run_and_all_are_reported_once(
    spark: SparkSession, wave: WaveUnits
) -> None:
    def do_run(plan: SlidePlan, shards: range) -> Iterator[UnitReport]:
        for shard in shards:
            if (plan.entry.slide_id, shard) == ("a", 17):
                raise SlideReadError("a tile is damaged")
            yield UnitReport(plan.entry.slide_id, shard, rows=shard)

    reports = over_runs(spark, wave, do_run)
    assert [(report.slide_id, report.shard) for report in reports] == [
        *(("a", shard) for shard in range(50)), *(("b", shard) for shard in range(3))
    ]  # fmt: skip
    failed = np.array([report.shard for report in reports if report.failure])
    (run,) = (run for slide, run in cut_runs([50, 3], 2) if slide == 0 and 17 in run)
    assert failed.tolist() == list(range(17, run.stop))
    assert {report.failure.error for report in reports if report.failure} == {"a tile is damaged"}
    assert all(report.rows == report.shard for report in reports if not report.failure)


def test_a_wave_without_units_starts_nothing(spark: SparkSession) -> None:
    assert over_runs(spark, WaveUnits([]), lambda *_: iter([])) == []
