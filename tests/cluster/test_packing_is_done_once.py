"""What is made once is made by one of many, and what a dying process leaves behind is never used."""

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cluster.code_archive import PACKAGES, code_archive
from cluster.user_cache import cache_folder, made_once
from tests.conftest import ROOT

# Makes a file in two halves, waiting for a line on standard input between them, and notes that it was asked to.
MAKER = """
import sys
from pathlib import Path
from cluster.user_cache import made_once

def make(target):
    with open(sys.argv[2], "a") as log:
        log.write("made ")
    target.write_text("first half")
    print("half", flush=True)
    sys.stdin.readline()
    target.write_text("first half, second half")

print(made_once(Path(sys.argv[1]), make).read_text(), flush=True)
"""


def maker(target: Path, log: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", MAKER, str(target), str(log)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_of_many_that_ask_at_once_one_makes_and_the_others_wait(tmp_path: Path) -> None:
    target, log = tmp_path / "thing", tmp_path / "log"
    first = maker(target, log)
    assert first.stdout is not None
    assert first.stdout.readline() == "half\n"
    others = [maker(target, log) for _ in range(2)]
    assert not target.exists()
    first.communicate("go on\n")
    assert [each.communicate("go on\n")[0] for each in others] == ["first half, second half\n"] * 2
    assert log.read_text() == "made "


def test_what_a_killed_one_left_is_not_used_and_cleared(tmp_path: Path) -> None:
    target, log = tmp_path / "thing", tmp_path / "log"
    killed = maker(target, log)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "half\n"
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not target.exists()
    assert len(list(tmp_path.glob("_tmp-*"))) == 1
    assert maker(target, log).communicate("go on\n")[0].endswith("first half, second half\n")
    assert not list(tmp_path.glob("_tmp-*"))
    assert log.read_text() == "made made "


def test_a_failed_one_leaves_nothing(tmp_path: Path) -> None:
    def fail(target: Path) -> None:
        target.write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        made_once(tmp_path / "thing", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["thing.lock"]


def test_the_cache_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("envs") == tmp_path / "histospark" / "envs"


def test_code_is_whole_and_the_same_bytes_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for name in ("one", "two"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        made.append(code_archive())
    assert made[0].name == made[1].name
    assert made[0].read_bytes() == made[1].read_bytes()
    held = set(zipfile.ZipFile(made[0]).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert len(tracked.splitlines()) > 150
    assert {name for name in tracked.splitlines() if (ROOT / name).exists()} <= held
    assert not any("__pycache__" in name for name in held)


def test_code_and_its_templates_are_read_from_the_zip() -> None:
    ask = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import conf, importlib.metadata\n"
        "from importlib.resources import files\n"
        "assert files('conf').joinpath('demo.yaml').read_text() and conf.__file__.startswith(sys.argv[1])\n"
        "assert files('training').joinpath('report.html.j2').read_text()\n"
        "assert files('inference.refreshing').joinpath('run_page.html.j2').read_text()\n"
        "print(importlib.metadata.version('histospark'))"
    )
    said = subprocess.run(
        [sys.executable, "-c", ask, code_archive()], capture_output=True, text=True, check=False, cwd="/"
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip()
