"""A worker that hangs is ended, whatever holds it, and says where it was."""

import subprocess
import sys

import pytest

from cluster.worker import last_words
from tests.conftest import ROOT

HOLDS_THE_INTERPRETER = "ctypes.PyDLL(None).sleep(100)"  # PyDLL, unlike CDLL, keeps the interpreter's lock


def work(code: str, name: str, seconds: float, after: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a function `read_block` with some code under the watchdog, in a process of its own."""
    script = (
        f"import ctypes, time\nfrom cluster.worker import watchdog\ndef read_block(alive):\n    {code}\n"
        f"with watchdog({name!r}, {seconds}) as alive:\n    read_block(alive)\n{after}\nprint('done')"
    )
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize("code", [HOLDS_THE_INTERPRETER, "time.sleep(100)"])
def test_work_that_hangs_ends_its_process_and_leaves_its_stack(code: str) -> None:
    ended = work(code, code, 0.3)
    assert ended.returncode == 1
    assert ended.stdout == ""
    words = last_words(code)
    assert words.startswith("Timeout")
    assert "in read_block" in words
    assert last_words(code) == "", "they are said once"


def test_native_crash_leaves_its_stack() -> None:
    assert work("ctypes.string_at(0)", "crash", 100).returncode < 0
    assert "Segmentation fault" in (words := last_words("crash"))
    assert "in read_block" in words


def test_work_that_gives_signs_of_life_may_take_long() -> None:
    ended = work("[(time.sleep(0.1), alive()) for _ in range(30)]", "slow", 1.0)
    assert ended.stdout == "done\n", ended.stderr
    assert last_words("slow") == ""


def test_nothing_is_ended_after_the_work() -> None:
    assert work("pass", "over", 0.2, after="time.sleep(0.6)").stdout == "done\n"
