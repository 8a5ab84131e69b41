"""Wrong use is answered in one line, with exit code 2, and starts nothing."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pyarrow.parquet as pq
import pytest

from cluster.entry import run_command
from histospark.cli import histospark as command_line
from preprocessing import job
from tests.conftest import ROOT, Command

Arguments = Callable[[Path, Path], list[object]]


def tile(slides: object, out: Path, *more: object, conf: object = "conf/demo.yaml") -> list[object]:
    return ["tile", "--conf", conf, "--slides", slides, "--out", out, *more]


def with_manifest(folder: Path, text: str) -> Path:
    path = folder / "manifest.csv"
    path.write_text(text)
    return path


def twice(folder: Path, drawn: Path) -> Path:
    shutil.copy(drawn / "normal_01.tif", folder / "a.tif")
    shutil.copy(drawn / "normal_01.tif", folder / "a.svs")
    return folder


CASES: dict[str, tuple[Arguments, str]] = {
    "missing folder": (lambda tmp, _: tile(tmp / "none", tmp / "out"), "not found"),
    "empty folder": (lambda tmp, _: tile(tmp, tmp / "out"), "no slides in"),
    "missing recipe": (lambda tmp, drawn: tile(drawn, tmp / "out", conf="conf/nothing.yaml"), "cannot be read"),
    "unknown key": (
        lambda tmp, drawn: tile(drawn, tmp / "out", "--set", "tiling.tisue.max_gray=0.7"),
        "unknown key tiling.tisue; did you mean tiling.tissue?",
    ),
    "bad value": (lambda tmp, drawn: tile(drawn, tmp / "out", "--set", "tiling.window=big"), "tiling.window"),
    "center larger than window": (
        lambda tmp, drawn: tile(drawn, tmp / "out", "--set", "tiling.center=100"),
        "larger than window",
    ),
    "override without a value": (lambda tmp, drawn: tile(drawn, tmp / "out", "--set", "tiling.window"), "key=value"),
    "unknown option": (lambda tmp, drawn: tile(drawn, tmp / "out", "--slide", "x"), "--slide"),
    "two slides of one name": (lambda tmp, drawn: tile(twice(tmp, drawn), tmp / "out"), "2 slides are called a"),
    "manifest without path": (
        lambda tmp, _: tile(with_manifest(tmp, "slide_id\na\n"), tmp / "out"),
        "lacks the column path",
    ),
    "manifest with unknown split": (
        lambda tmp, _: tile(with_manifest(tmp, "slide_id,path,split\na,a.tif,dev\n"), tmp / "out"),
        "is in split 'dev'",
    ),
    "patient in two splits": (
        lambda tmp, _: tile(
            with_manifest(tmp, "slide_id,path,patient_id,split\na,a.tif,P7,train\nb,b.tif,P7,test\n"), tmp / "out"
        ),
        "patient P7 is in two splits",
    ),
    "no ledger": (lambda tmp, _: ["status", tmp], "has no ledger"),
    "window larger than the slide": (
        lambda tmp, drawn: tile(
            drawn / "normal_01.tif", tmp / "out", "--set", "tiling.window=4096", "--set", "tiling.block=4096"
        ),
        "window of 4096 px is larger than the slide",
    ),
}


NEEDS_THE_SLIDE = "window larger than the slide"  # which is opened by Spark's workers


@pytest.mark.parametrize("case", [case for case in CASES if case != NEEDS_THE_SLIDE], ids=str)
def test_bad_use_is_one_line_and_exit_code_2_before_spark_starts(
    case: str, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def no_session(*_: object) -> NoReturn:
        pytest.fail("Spark was started")

    monkeypatch.setattr(job, "spark_session", no_session)
    monkeypatch.chdir(ROOT)
    arguments, message = CASES[case]
    assert run_command(command_line, list(map(str, arguments(tmp_path, drawn)))) == 2
    said = capfd.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("histospark: ")
    assert message in line
    assert said.out == ""
    assert not (tmp_path / "out" / "patches").exists()


@pytest.mark.parametrize("case", ["missing folder", NEEDS_THE_SLIDE], ids=str)
def test_bad_use_of_the_program_is_one_line_and_exit_code_2(
    case: str, histospark: Command, drawn: Path, tmp_path: Path
) -> None:
    arguments, message = CASES[case]
    ended = histospark(*arguments(tmp_path, drawn))
    assert ended.returncode == 2, ended.stderr
    said = [line for line in ended.stderr.splitlines() if line.startswith("histospark: ")]
    assert len(said) == 1
    assert message in said[0]
    assert "Traceback" not in ended.stderr + ended.stdout
    assert not (tmp_path / "out" / "patches").exists()


def test_table_of_another_schema_version_is_not_added_to(histospark: Command, drawn: Path, tmp_path: Path) -> None:
    arguments = tile(drawn / "normal_01.tif", tmp_path)
    assert histospark(*arguments).returncode == 0
    for path in tmp_path.rglob("patches/**/*.parquet"):
        table = pq.ParquetFile(path).read()
        old = {**table.schema.metadata, b"histospark.schema_version": b"0"}
        pq.write_table(table.replace_schema_metadata(old), path)
    ended = histospark(*arguments)
    assert ended.returncode == 2
    assert "schema version 0, this version of histospark works with 1" in ended.stderr
