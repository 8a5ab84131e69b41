"""What a server started ends with it, whatever it did to get away, and both end with pytest."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from tests.cluster.daemon import Daemon
from tests.cluster.s3_server import S3Server
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
        "import os, pathlib, signal, sys; from tests.cluster.daemon import Daemon; "
        "Daemon('shell', ['sh', '-c', sys.argv[1]], pathlib.Path(sys.argv[2]) / 'log', os.environ); signal.pause()"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, RUNAWAY, tmp_path], cwd=ROOT)
    child = child_in(tmp_path)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    when(lambda: not runs(child))


def test_s3_server_ends_with_the_pytest_that_was_killed(s3_server: S3Server, tmp_path: Path) -> None:
    """The one of this test is left alone; that of another pytest, killed in the midst of its test, goes."""
    (tmp_path / "test_waits.py").write_text(
        "import pathlib, signal\n\ndef test_waits(s3_server):\n"
        "    url = s3_server.environment['AWS_ENDPOINT_URL']\n"
        "    pathlib.Path(__file__).with_name('url').write_text(url + '\\n')\n    signal.pause()\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "tests.cluster.s3_server", f"--basetemp={tmp_path / 'its'}"]
    owner = subprocess.Popen([*command, tmp_path / "test_waits.py"], cwd=ROOT, stdout=subprocess.DEVNULL)
    note = tmp_path / "url"
    when(lambda: (note.exists() and note.read_text().endswith("\n")) or owner.poll() is not None)
    url = note.read_text().strip()
    assert listens(url)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    when(lambda: not listens(url))
    assert listens(s3_server.environment["AWS_ENDPOINT_URL"])


def listens(url: str) -> bool:
    with socket.socket() as client:
        return client.connect_ex((urlsplit(url).hostname, urlsplit(url).port)) == 0
