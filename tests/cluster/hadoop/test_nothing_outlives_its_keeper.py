"""What a server started ends with it, whatever it did to get away, and both end with pytest."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster.hadoop.daemon import Daemon
from tests.conftest import ROOT

# A child in a session of its own, as YARN starts containers, whose own parent ends at once.
RUNAWAY = "setsid sh -c 'sleep 1000 & echo $! > child'; sleep 1000"


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def when(is_so: Callable[[], bool]) -> None:
    while not is_so():
        time.sleep(0.02)


def child_in(folder: Path) -> int:
    when(lambda: (folder / "child").exists() and (folder / "child").read_text().endswith("\n"))
    return int((folder / "child").read_text())


def test_power_off_reaches_sessions_of_their_own(tmp_path: Path) -> None:
    daemon = Daemon("shell", ["sh", "-c", RUNAWAY], tmp_path / "log", os.environ)
    child = child_in(tmp_path)
    assert daemon.is_alive()
    assert runs(child)
    daemon.power_off()
    assert not daemon.is_alive()
    assert not runs(child)


def test_killed_server_leaves_its_children_until_the_power_goes(tmp_path: Path) -> None:
    daemon = Daemon("shell", ["sh", "-c", RUNAWAY], tmp_path / "log", os.environ)
    child = child_in(tmp_path)
    daemon.kill()
    when(lambda: not daemon.is_alive())
    assert runs(child)
    daemon.power_off()
    assert not runs(child)


def test_killed_pytest_takes_all_along(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys; from tests.cluster.hadoop.daemon import Daemon; "
        "Daemon('shell', ['sh', '-c', sys.argv[1]], pathlib.Path(sys.argv[2]) / 'log', os.environ); signal.pause()"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, RUNAWAY, tmp_path], cwd=ROOT)
    child = child_in(tmp_path)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    when(lambda: not runs(child))
