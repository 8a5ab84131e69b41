"""What the command line tells a person: help, slides, ledger."""

import io
import json
import re
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from rich.console import Console

from cluster.storage import Store
from cluster.terminal import show
from preprocessing import ledger
from preprocessing.ledger import Outcome
from preprocessing.readers.base import SlideInfo
from preprocessing.slide_entry import SlideEntry
from preprocessing.slide_facts import SlideFacts
from preprocessing.status import page
from tests.conftest import Command

REASON = "/data/slides/batch_7/broken.svs cannot be opened: unsupported format; is it a whole, tiled slide file?"


def test_help_lists_every_command(histospark: Command) -> None:
    said = histospark("--help").stdout
    for command in ("demo", "inspect", "tile", "train", "infer", "evaluate", "status"):
        assert f"\n  {command} " in said


def write_ledger(folder: Path, done: int) -> Path:
    """A ledger of `done` slides, one that failed, and one that is empty."""
    store = Store(str(folder))
    info = SlideInfo(((4000, 3000),), (1.0,), 0.25, 40.0, "aperio")
    direct, other = SlideFacts(info, "direct"), SlideFacts(info, "openslide", "its tiles are JPEG 2000")
    outcomes = [
        Outcome(
            entry(f"slide_{number:04d}", f"patient_{number // 2}", "validation" if number % 4 == 0 else "train"),
            "done",
            other if number == 0 else direct,
            patches=100,
            positives=number,
            seconds=0.5,
        )
        for number in range(done)
    ]
    failed = Outcome(entry("broken"), "failed", error_type="SlideOpenError", error=REASON, trace="Traceback: long")
    empty = Outcome(entry("glass"), "empty", direct, error="no position passes the tissue rule")
    ledger.append(store, "tile", [*outcomes, failed, empty], "abcdef012345", ledger.latest(store, "tile"))
    return folder


def entry(name: str, patient: str = "somebody", split: str = "train") -> SlideEntry:
    return SlideEntry(name, f"/slides/{name}.svs", patient_id=patient, split=split)


def rows_of(folder: Path) -> pd.DataFrame:
    return ledger.latest(Store(str(folder)), "tile")


def printed(rows: pd.DataFrame, width: int, color: bool = False, **options: bool) -> str:
    """The page on a terminal of so many columns, 90 seconds after the last wave."""
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=color, markup=False, highlight=False)
    now = rows["processed_at"].max() + timedelta(seconds=90)
    show(page("tile", rows, now, **options, roomy=width >= 100), console)
    return file.getvalue()


def test_status_in_a_pipe_is_plain_text_with_totals_first(histospark: Command, tmp_path: Path) -> None:
    ended = histospark("status", write_ledger(tmp_path, done=10))
    assert ended.returncode == 3
    lines = ended.stdout.splitlines()
    assert lines[0] == "tile: 12 slides - 10 done, 1 empty, 1 failed"
    assert lines[1:3] == [
        "  1,000 patches, 45 positive",
        "  5 s of work on the slides, all cores together, 200 patches/s per core",
    ]
    assert "  read by direct (10), openslide (1)\n    openslide: its tiles are JPEG 2000 (1 slide)\n" in ended.stdout
    assert f"  broken  SlideOpenError\n    {REASON}\n" in ended.stdout  # whole, however long
    assert "no position passes the tissue rule (1 slide)" in ended.stdout
    assert "\x1b" not in ended.stdout
    assert not any(line.endswith(" ") for line in lines)
    assert ended.stdout.index("failed:") < ended.stdout.index("splits") < ended.stdout.index("slides, the newest first")
    assert re.search(r"\n  train +7 +5 +700 +33\n  validation +3 +3 +300 +12\n", ended.stdout)


def test_status_on_a_terminal_wraps_reasons_and_colors_states(tmp_path: Path) -> None:
    rows = rows_of(write_ledger(tmp_path, done=10))
    for width in (80, 120):
        plain = printed(rows, width)
        assert max(map(len, plain.splitlines())) <= width
        assert "1 min 30 s ago" in plain
        assert ("reader" in plain) == (width == 120)
    wrapped = textwrap.fill(REASON, 80, initial_indent=4 * " ", subsequent_indent=4 * " ")
    assert f"\n{wrapped}\n" in printed(rows, 80)
    colored = printed(rows, 120, color=True)
    for name, code in (("done", 32), ("failed", 31), ("empty", 33)):
        assert re.search(rf"\x1b\[{code}m{name} *\x1b\[0m", colored)


def test_status_cuts_long_lists_and_says_how_to_see_the_rest(tmp_path: Path) -> None:
    rows = rows_of(write_ledger(tmp_path, done=1000))
    cut, whole = printed(rows, 120), printed(rows, 120, every=True)
    assert cut.count("slide_0") == 48  # of the first 50, two are the others
    assert "… and 952 more; --all shows them" in cut
    assert whole.count("slide_") == 1000
    assert "more; --all" not in whole
    failed = printed(rows, 120, only_failed=True)
    assert "broken" in failed
    assert "slide_0" not in failed


def test_newest_slides_come_first(tmp_path: Path) -> None:
    write_ledger(tmp_path, done=3)
    store = Store(str(tmp_path))
    ledger.append(store, "tile", [Outcome(entry("late"), "done", patches=1)], "r", rows_of(tmp_path))
    listed = printed(rows_of(tmp_path), 120).partition("slides, the newest first")[2].split("\n")
    assert [line.split()[0] for line in listed[2:6]] == ["late", "broken", "glass", "slide_0000"]


def test_status_for_machines_is_json_with_null_for_the_unknown(histospark: Command, tmp_path: Path) -> None:
    ended = histospark("status", write_ledger(tmp_path, done=3), "--json")
    told = json.loads(ended.stdout)["tile"]
    assert (told["slides"], told["done"], told["empty"], told["failed"]) == (5, 3, 1, 1)
    assert (told["patches"], told["positives"]) == (300, 3)
    assert datetime.fromisoformat(told["last_wave"]) <= datetime.now(UTC)
    slides = {slide["slide_id"]: slide for slide in told["ledger"]}
    assert slides["broken"]["error"] == REASON
    assert slides["broken"]["width"] is None
    assert slides["slide_0001"]["reader_note"] is None
    only = json.loads(histospark("status", tmp_path, "--json", "--failed").stdout)["tile"]["ledger"]
    assert [slide["slide_id"] for slide in only] == ["broken"]


def test_status_of_something_else_says_what_it_wants(histospark: Command, tmp_path: Path) -> None:
    ended = histospark("status", tmp_path)
    assert ended.returncode == 2
    assert "has no ledger; give the --out folder" in ended.stderr


def test_inspect_tells_levels_and_what_is_missing(histospark: Command, real: Path) -> None:
    ended = histospark("inspect", real / "wsi" / "TCGA-CR-7395-01A-01-TS1.svs", real / "wsi" / "bad")
    assert ended.returncode == 3
    assert "mpp not stated, objective not stated" in ended.stdout
    assert "level 1: 2221x1783 px, downsample 2.001  (no whole number" in ended.stdout
    assert ended.stdout.count("unusable: ") == 3
    assert "Traceback" not in ended.stderr
