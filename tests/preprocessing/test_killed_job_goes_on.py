"""A job killed in the middle costs a wave; the next run ends with the same table as an undisturbed one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import ROOT, Command
from tests.tables import digests, ledger_of


def test_killed_after_the_first_wave_and_started_again(histospark: Command, drawn: Path, tmp_path: Path) -> None:
    def arguments(out: Path) -> list[str]:
        job = ["tile", "--conf", "conf/demo.yaml", "--set", "tiling.block=128", "--slides", drawn, "--wave", 1]
        return [*map(str, job), "--out", str(out)]

    killed = tmp_path / "killed"
    command = [str(Path(sys.executable).with_name("histospark")), *arguments(killed)]
    job = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not list(killed.glob("slides/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    assert job.returncode == -signal.SIGKILL, "the job ended before it could be killed"
    done_before = len(ledger_of(killed))
    assert 1 <= done_before < 3

    again = histospark(*arguments(killed))
    assert again.returncode == 0, again.stderr
    assert f"{3 - done_before} slides done, 0 empty, 0 failed, {done_before} done before" in again.stdout
    assert histospark(*arguments(tmp_path / "undisturbed")).returncode == 0
    assert digests(killed) == digests(tmp_path / "undisturbed")
    assert not (killed / "_staging").exists()
    assert sorted(ledger_of(killed)["slide_id"]) == ["normal_01", "tumor_01", "tumor_02"]
