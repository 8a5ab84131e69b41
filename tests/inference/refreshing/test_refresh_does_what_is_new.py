"""A night does what is new or changed, tells it all, and starts no Spark where there is nothing to do."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from cluster.errors import JobError, UsageError
from cluster.lock import output_lock
from cluster.storage import Store
from inference.refreshing import one_refresh, summary_files
from inference.refreshing.one_refresh import SteppedAsideError
from inference.refreshing.run_summary import RunSummary
from tests.inference.refreshing.conftest import Nights
from tests.inference.tables import contents, predictions_of
from tests.tables import ledger_of, patches_of


def told(nights: Nights) -> RunSummary:
    """What is on the disk; the newest in `refresh/` says the same."""
    data = (nights.out / "report.json").read_text()
    assert data == max((nights.out / "refresh").glob("*.json")).read_text()
    return RunSummary.model_validate_json(data)


def test_nothing_new_starts_no_spark_and_waits_for_nothing(good_nights: Nights) -> None:
    before = contents(good_nights.out)
    summary = good_nights.refresh()
    assert (good_nights.sessions, good_nights.slept) == (0, [])
    assert (summary.skipped, summary.done, summary.new, summary.exit_code) == (4, (), (), 0)
    assert summary.gone_names == ("bad",)
    kept = {name: digest for name, digest in contents(good_nights.out).items() if name in before}
    assert kept == before
    assert told(good_nights) == summary
    assert "Nothing was new" in (good_nights.out / "report.html").read_text()


def test_new_and_changed_slides_are_done_and_told(good_nights: Nights) -> None:
    shutil.copy(good_nights.slides / "tumor_01.tif", good_nights.slides / "late.tif")
    changed = good_nights.slides / "normal_01.tif"
    shutil.copy(good_nights.slides / "tumor_02.tif", changed)
    summary = good_nights.refresh(settle=45)
    assert (good_nights.sessions, good_nights.slept) == (1, [45])
    assert (summary.new, summary.changed, summary.skipped) == (("late",), ("normal_01",), 3)
    assert (summary.done, summary.empty, summary.failed, summary.exit_code) == (("late", "normal_01"), (), (), 0)
    tables = {name: predictions_of(good_nights.out, name) for name in ("late", "normal_01", "tumor_02")}
    pd.testing.assert_frame_equal(tables["normal_01"], tables["tumor_02"])
    assert summary.windows == len(tables["late"]) + len(tables["normal_01"])
    wanted = sorted((-tables[name]["probability"].max(), name) for name in ("late", "normal_01"))
    assert [one.slide_id for one in summary.highest] == [name for _, name in wanted]
    assert [one.score for one in summary.highest] == pytest.approx([-score for score, _ in wanted])
    assert told(good_nights) == summary
    assert good_nights.refresh().skipped == 5
    assert len(list((good_nights.out / "refresh").glob("*.html"))) == 2


def test_failing_slide_is_told_every_night_until_it_is_repaired(nights: Nights) -> None:
    for attempts in (2, 3):
        summary = nights.refresh()
        assert summary.exit_code == 3
        assert [(one.slide_id, one.attempts) for one in summary.failed] == [("bad", attempts)]
        assert nights.slept == []  # an old failure is not a file that still comes
    first = ledger_of(nights.out).query("slide_id == 'bad'")["processed_at"].min()
    assert told(nights).failed[0].since == first
    page = (nights.out / "report.html").read_text()
    for word in ("bad", summary.failed[0].error_type, "Some slides failed"):
        assert word in page
    (nights.slides / "bad.svs").unlink()
    shutil.copy(nights.slides / "tumor_01.tif", nights.slides / "bad.tif")
    repaired = nights.refresh()
    assert (repaired.exit_code, repaired.failed, repaired.done) == (0, (), ("bad",))


def test_results_of_deleted_slides_stay(good_nights: Nights) -> None:
    before = {name for name in contents(good_nights.out) if "tumor_01" in name}
    (good_nights.slides / "tumor_01.tif").unlink()
    summary = good_nights.refresh()
    assert summary.gone_names == ("bad", "tumor_01")
    assert before <= set(contents(good_nights.out))


def test_lost_results_are_made_again(good_nights: Nights) -> None:
    shutil.rmtree(good_nights.out / "predictions" / "slide_id=tumor_02")
    summary = good_nights.refresh()
    assert (summary.redone, summary.done, good_nights.slept) == (("tumor_02",), ("tumor_02",), [])


def test_a_run_that_died_before_its_end_is_finished(good_nights: Nights) -> None:
    """All slides were committed, the joined lesions not: its lock still lies there."""
    wanted = (good_nights.out / "lesions.csv").read_text()
    (good_nights.out / "lesions.csv").unlink()
    dead = {"run": "dead", "application": "histospark infer", "user": "u", "host": "h", "pid": 1, "since": "2026"}
    lock = good_nights.out / "_lock-00000001.json"
    lock.write_text(json.dumps(dead | {"machine": "another", "process": "1"}))
    os.utime(lock, (0, 0))
    summary = good_nights.refresh()
    assert (good_nights.sessions, summary.done, summary.exit_code) == (1, (), 0)
    assert (good_nights.out / "lesions.csv").read_text() == wanted
    assert not lock.exists()


def test_tiles_are_cut_where_the_recipe_says_so(good_nights: Nights) -> None:
    refresh = good_nights.recipe.refresh.model_copy(update={"tile": True})
    good_nights.recipe = good_nights.recipe.model_copy(update={"refresh": refresh})
    summary = good_nights.refresh()
    patches = patches_of(good_nights.out / "tiles")
    assert (summary.patches, summary.tiled, summary.done) == (len(patches), 4, ())
    assert summary.patches > 0
    assert good_nights.slept == []  # inference has seen these files
    again = good_nights.refresh()
    assert (again.patches, again.tiled, good_nights.sessions) == (0, 0, 1)


def test_refresh_steps_aside_for_a_refresh_and_for_an_inference(good_nights: Nights) -> None:
    for place, who in ((good_nights.out / "refresh", "histospark refresh"), (good_nights.out, "histospark infer")):
        before = contents(good_nights.out)
        with output_lock(Store(str(place)), "first", who), pytest.raises(SteppedAsideError, match=who):
            good_nights.refresh()
        assert contents(good_nights.out) == before
    assert good_nights.refresh().exit_code == 0


def test_inference_that_comes_in_between_is_stepped_aside_for(good_nights: Nights) -> None:
    shutil.copy(good_nights.slides / "tumor_01.tif", good_nights.slides / "late.tif")
    lock = output_lock(Store(str(good_nights.out)), "first", "histospark infer")
    with pytest.raises(SteppedAsideError, match="histospark infer"):
        good_nights.refresh(meanwhile=lock.__enter__)
    lock.__exit__(None, None, None)
    summary = told(good_nights)
    assert (summary.exit_code, summary.left, summary.done) == (0, 1, ())
    assert "histospark infer" in (summary.stopped or "")
    assert good_nights.refresh().done == ("late",)


@pytest.mark.parametrize(("error", "code"), [(JobError("the disk is full"), 1), (UsageError("wrong thing"), 2)])
def test_summary_is_written_where_the_job_fails(
    good_nights: Nights, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def broken(*_: object) -> None:
        raise error

    shutil.copy(good_nights.slides / "tumor_01.tif", good_nights.slides / "late.tif")
    monkeypatch.setattr(one_refresh, "run_inference", broken)
    with pytest.raises(type(error), match=str(error)):
        good_nights.refresh()
    summary = told(good_nights)
    assert (summary.exit_code, summary.left, summary.skipped) == (code, 1, 4)
    assert str(error) in (summary.stopped or "")
    assert str(error) in (good_nights.out / "report.html").read_text()


def test_another_model_has_its_own_summaries(good_nights: Nights) -> None:
    card = json.loads((good_nights.out / "model.json").read_text())
    (good_nights.out / "model.json").write_text(json.dumps(card | {"model_id": "0123456789ab"}))
    for name in ("tumor_01", "tumor_02"):
        (good_nights.slides / f"{name}.tif").unlink()
    summary = good_nights.refresh()
    assert (summary.new, summary.gone) == (("glass_01", "normal_01"), 0)
    assert not (good_nights.out / "report.json").exists()
    folder = good_nights.out / "models" / summary.model_id
    assert (folder / "report.html").exists()
    assert list((folder / "refresh").glob("*.html"))


def test_oldest_summaries_go_and_half_written_ones_with_them(
    good_nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary_files, "MOST", 3)
    history = good_nights.out / "refresh"
    history.mkdir()
    start = datetime(2001, 1, 1, tzinfo=UTC)
    names = [f"{start + timedelta(days=day):%Y%m%dT%H%M%S}000Z" for day in range(4)]
    for name in names:
        for ending in ("html", "json"):
            (history / f"{name}.{ending}").write_text("old")
    (history / "_tmp-dead").write_text("half")
    (history / "notes.txt").write_text("somebody's own")
    good_nights.refresh()
    left = {path.name for path in history.iterdir()}
    assert "notes.txt" in left
    assert "_tmp-dead" not in left
    assert {name for name in left if name.startswith("2001")} >= {f"{name}.json" for name in names[2:]}
    assert not {name for name in left if names[0] in name or names[1] in name}
    assert len(left) == 2 * 3 + 1
