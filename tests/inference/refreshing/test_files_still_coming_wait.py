"""Slides whose files come, go, change or are locked wait for the next run, and never count as failed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from histospark.drawing import draw_slide
from inference.refreshing import settling
from inference.refreshing.settling import Looked, Waiting, look_twice
from preprocessing.slide_entry import SlideEntry
from tests.inference.refreshing.conftest import Nights
from tests.inference.tables import predictions_of


def entry(name: str, fingerprint: str = "1") -> SlideEntry:
    return SlideEntry(name, f"/nowhere/{name}.tif", fingerprint=fingerprint)


def looked(*looks: list[SlideEntry], known: list[SlideEntry], slept: list[float] | None = None) -> Looked:
    """What two looks come to, that see one list after the other."""
    in_turn: Iterator[list[SlideEntry]] = iter(looks)
    states = frozenset((one.slide_id, one.fingerprint) for one in known)
    sleeps: list[float] = [] if slept is None else slept
    return look_twice(lambda: next(in_turn), states, frozenset(), 60, sleeps.append)


def test_one_look_is_enough_where_nothing_is_new() -> None:
    slept: list[float] = []
    known = [entry("a"), entry("b")]
    assert looked(known, known=[*known, entry("gone")], slept=slept) == Looked(tuple(known))
    assert slept == []


def test_what_moves_between_the_looks_waits_and_what_rests_is_ready() -> None:
    first = [entry("done"), entry("new"), entry("growing", "2"), entry("touched"), entry("fleeting")]
    second = [entry("done"), entry("new"), entry("growing", "3"), entry("touched", "2"), entry("just come")]
    slept: list[float] = []
    found = looked(first, second, known=[entry("done"), entry("touched"), entry("growing")], slept=slept)
    assert slept == [60]
    assert [one.slide_id for one in found.ready] == ["done", "new"]
    assert {one.slide_id: one.fingerprint for one in found.waiting} == {
        "fleeting": "",
        "growing": "3",
        "just come": "1",
        "touched": "2",
    }


def test_slide_that_grows_waits_and_is_done_by_the_next_run(good_nights: Nights) -> None:
    whole = (good_nights.slides / "tumor_01.tif").read_bytes()
    growing = good_nights.slides / "late.tif"
    growing.write_bytes(whole[: len(whole) // 2])
    shutil.copy(good_nights.slides / "tumor_01.tif", good_nights.slides / "quick.tif")
    tonight = good_nights.refresh(meanwhile=lambda: growing.write_bytes(whole[:-1000]))
    assert [(one.slide_id, one.since) for one in tonight.waiting] == [("late", tonight.started)]
    assert (tonight.done, tonight.failed, tonight.exit_code) == (("quick",), (), 0)
    assert "late" in (good_nights.out / "report.html").read_text()
    still = good_nights.refresh(meanwhile=lambda: growing.write_bytes(whole))
    assert [one.since for one in still.waiting] == [tonight.started]  # the second night in a row
    assert good_nights.sessions == 1
    after = good_nights.refresh()
    assert (after.waiting, after.new, after.done) == ((), ("late",), ("late",))
    assert predictions_of(good_nights.out, "late").equals(predictions_of(good_nights.out, "tumor_01"))


def test_annotation_that_still_comes_keeps_its_slide_waiting(good_nights: Nights, tmp_path: Path) -> None:
    draw_slide(tmp_path / "drawn", "late", seed=9, side=512, lesions=1)
    for path in (tmp_path / "drawn").glob("late.*"):
        shutil.copy(path, good_nights.slides)
    annotation = good_nights.slides / "late.xml"
    text = annotation.read_text()
    annotation.write_text(text[:100])
    tonight = good_nights.refresh(meanwhile=lambda: annotation.write_text(text))
    assert [one.slide_id for one in tonight.waiting] == ["late"]
    assert good_nights.sessions == 0


def test_slide_copied_more_slowly_than_we_wait_is_no_failure(
    good_nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its copy rests during both looks, is read half, and goes on while the run works."""
    whole = (good_nights.slides / "tumor_01.tif").read_bytes()
    late = good_nights.slides / "late.tif"
    late.write_bytes(whole[: len(whole) // 3])
    session = good_nights.session

    class Worked:
        def __enter__(self) -> object:
            self.inner = session()
            return self.inner.__enter__()

        def __exit__(self, *_: object) -> None:
            late.write_bytes(whole)

    monkeypatch.setattr(good_nights, "session", Worked)
    tonight = good_nights.refresh()
    assert (tonight.failed, tonight.exit_code) == ((), 0)
    assert [one.slide_id for one in tonight.waiting] == ["late"]
    monkeypatch.undo()
    after = good_nights.refresh()
    assert (after.done, after.exit_code) == (("late",), 0)


def test_locked_file_waits_one_run_and_then_fails_by_name(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share of Windows refuses to open what is being written; a file with wrong rights never opens."""
    locked = nights.slides / "locked.svs"
    locked.write_text("not a slide either")

    def refused(path: str) -> None:
        if path == str(locked):
            raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(settling, "read_first_byte", refused)
    first, second = nights.refresh(), nights.refresh()
    assert [(one.slide_id, one.reason) for one in first.waiting] == [
        ("locked", "it cannot be opened yet: Permission denied")
    ]
    assert [one.slide_id for one in first.failed] == ["bad"]
    assert second.waiting == ()
    assert [one.slide_id for one in second.failed] == ["bad", "locked"]


def test_first_byte_is_read_by_path_and_by_uri(tmp_path: Path) -> None:
    name = tmp_path / "zip::a#b [1].tif"
    name.write_bytes(b"x")
    settling.read_first_byte(str(name))
    plain = tmp_path / "plain.tif"
    plain.write_bytes(b"x")
    settling.read_first_byte(f"file://{plain}")
    with pytest.raises(FileNotFoundError):
        settling.read_first_byte(str(tmp_path / "missing.tif"))
    folder = [SlideEntry("folder", str(tmp_path), fingerprint="1")]
    found = look_twice(lambda: folder, frozenset(), frozenset(), 0, lambda _: None)
    assert found.waiting == (Waiting("folder", "1", "it cannot be opened yet: Is a directory"),)
