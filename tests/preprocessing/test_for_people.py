"""What the command line tells a person: help, slides, ledger."""

import io
import json
import re
import shutil
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from cluster.storage import Store
from cluster.terminal import show
from preprocessing import ledger
from preprocessing.ledger import Outcome
from preprocessing.readers.base import SlideInfo
from preprocessing.slide_check import problems_of
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
    assert re.search(r"\n  train +9 +6 +7 +1 +1 +700 +33\n  validation +3 +3 +3 +0 +0 +300 +12\n", ended.stdout)


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
    assert [(split["split"], split["done"], split["patches"]) for split in told["splits"]] == [
        ("train", 2, 200),
        ("validation", 1, 100),
    ]
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


def test_inspect_tells_levels_storage_reader_and_what_is_missing(histospark: Command, real: Path) -> None:
    """Facts of the README of the test data."""
    ended = histospark("inspect", real / "wsi" / "TCGA-CR-7395-01A-01-TS1.svs", real / "wsi" / "CMU-1-Small-Region.svs")
    assert ended.returncode == 0, ended.stderr
    assert "  format      aperio, tiles of 256 x 256 px, JPEG 2000\n" in ended.stdout
    assert "  resolution  mpp not stated, objective not stated\n" in ended.stdout
    assert "  reader      openslide: JPEG 2000 tiles\n" in ended.stdout
    assert re.search(r"\n +1 +2,221 +1,783 +2\.001 +- +no whole number\n", ended.stdout)
    for remedy in ("a column mpp to the manifest", "tiling.mpp in the recipe", "tiling.scales by level"):
        assert remedy in ended.stdout
    assert "  format      aperio, tiles of 240 x 240 px, JPEG\n" in ended.stdout
    assert "  size        2,220 x 2,967 px, 6.59 megapixels, 1.11 x 1.48 mm\n" in ended.stdout
    assert "  resolution  0.499 um per pixel, objective 20\n" in ended.stdout
    assert "  reader      direct\n" in ended.stdout
    assert ended.stdout.endswith("2 slides: 2 usable, 1 with a problem\n")
    assert "\x1b" not in ended.stdout


def test_inspect_names_slides_that_cannot_be_used(histospark: Command, real: Path) -> None:
    ended = histospark("inspect", "--failed", real / "wsi" / "bad", real / "wsi" / "CMU-1-Small-Region.svs")
    assert ended.returncode == 3
    assert "  unusable: " in ended.stdout.partition("broken.svs\n")[2].split("\n")[0]
    assert "cannot be read" in ended.stdout.partition("unreadable.svs\n")[2]
    assert "reader      flat: " in ended.stdout.partition("kidney-48-5.tif\n")[2]
    assert "CMU-1" not in ended.stdout  # nothing is wrong with it
    assert ended.stdout.endswith("5 slides: 3 usable, 2 unusable, 1 with a problem\n")
    assert "Traceback" not in ended.stderr


def test_inspect_lists_what_stands_beside_a_slide_and_takes_the_manifests_mpp(
    histospark: Command, drawn: Path, tmp_path: Path
) -> None:
    said = histospark("inspect", drawn / "tumor_01.tif").stdout
    assert "  beside it   annotation tumor_01.xml, mask tumor_01_mask.tif\n" in said
    manifest = tmp_path / "slides.csv"
    manifest.write_text(f"slide_id,path,mpp\n0012,{drawn / 'tumor_01.tif'},0.5\n")
    told = json.loads(histospark("inspect", "--json", manifest).stdout)
    assert (told["entry"]["slide_id"], told["mpp"], told["error"]) == ("0012", 0.5, None)
    assert told["info"]["level_sizes"][0] == [1024, 1024]
    assert "  resolution  0.5 um per pixel (by the manifest), " in histospark("inspect", manifest).stdout


def test_inspect_finds_annotations_that_do_not_belong_to_their_slide(
    histospark: Command, drawn: Path, tmp_path: Path
) -> None:
    shutil.copy(drawn / "tumor_01.tif", tmp_path)
    shutil.copy(drawn / "tumor_02_mask.tif", tmp_path / "tumor_01_mask.tif")
    (tmp_path / "tumor_01.xml").write_text("<ASAP_Annotations><Annotations>")
    ended = histospark("inspect", tmp_path)
    assert ended.returncode == 0  # the slide itself is good
    problems = [line for line in ended.stdout.splitlines() if line.startswith("  problem: ")]
    assert len(problems) == 2
    assert "tumor_01.xml" in problems[0]
    assert "1536x1536 px, its slide 1024x1024" in problems[1]


@pytest.mark.parametrize(
    ("mpp", "power", "side", "trouble"),
    [
        (0.25, 40, 1000, ""),
        (0.499, 20, 1000, ""),
        (None, 40, 1000, "nothing says the mpp"),
        (352.8, None, 1000, "an mpp of 352.8 is that of no scanner"),
        (0.25, 10, 1000, "an mpp of 0.25 and an objective of 10 do not go together"),
        (0.25, 40, 20_000, "it has only one level"),
    ],
)
def test_what_will_make_trouble_is_said_before_a_job_starts(
    mpp: float | None, power: float | None, side: int, trouble: str
) -> None:
    problems = problems_of(SlideInfo(((side, side),), (1.0,), mpp, power, "aperio"), mpp)
    assert [problem[: len(trouble)] for problem in problems] == ([trouble] if trouble else [])
