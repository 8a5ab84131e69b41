"""Two refreshes at once, by the real command line: the second steps aside; a killed one blocks nothing."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import Command
from tests.inference.refreshing.conftest import Nights, Site


def test_second_refresh_steps_aside_and_a_killed_one_blocks_nothing(
    site: Site, nights: Nights, histospark: Command
) -> None:
    site.add_slide()
    places = ["--conf", site.recipe, "--slides", site.slides, "--model", site.model, "--out", site.out]
    command = [Path(sys.executable).with_name("histospark"), "refresh", *places, "--settle", "600"]
    first = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not list(site.out.glob("refresh/_lock-*.json")) and first.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = histospark("refresh", *places, "--settle", "0")
        assert second.returncode == 0, second.stderr
        assert "this refresh steps aside" in second.stdout
        assert f"process {first.pid}" in second.stdout
        assert len(second.stdout.splitlines()) == 1
        assert not (site.out / "report.json").exists()
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert list(site.out.glob("refresh/_lock-*.json"))  # it had no time to tidy up
    nights.slides, nights.out = site.slides, site.out
    summary = nights.refresh()
    assert (summary.done, summary.exit_code) == (("late",), 0)
    assert not list(site.out.glob("refresh/_*"))
