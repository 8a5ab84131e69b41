"""Two refreshes at once, by the real command line: the second steps aside; a killed one blocks nothing."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import Command
from tests.inference.refreshing.conftest import Nights, Site


@contextmanager
def at_work(site: Site, settle: int, lock: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A refresh that has come to a lock; killed at the end."""
    command = [Path(sys.executable).with_name("histospark"), "refresh", *places(site), "--settle", settle]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 300
        while not list(site.out.glob(lock)):
            assert process.poll() is None, "it ended by itself"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield process
        assert process.poll() is None, "it ended by itself"
    finally:
        process.kill()
        process.wait()


def places(site: Site) -> list[object]:
    return ["--conf", site.recipe, "--slides", site.slides, "--model", site.model, "--out", site.out]


def test_second_refresh_steps_aside_and_a_killed_one_blocks_nothing(
    site: Site, nights: Nights, histospark: Command
) -> None:
    site.add_slide()
    with at_work(site, 600, "refresh/_lock-*.json") as first:  # between its two looks
        second = histospark("refresh", *places(site), "--settle", "0")
        assert second.returncode == 0, second.stderr
        assert "this refresh steps aside" in second.stdout
        assert f"process {first.pid}" in second.stdout
        assert len(second.stdout.splitlines()) == 1
        assert not (site.out / "report.json").exists()
    assert list(site.out.glob("refresh/_lock-*.json"))  # it had no time to tidy up
    with at_work(site, 0, "_lock-*.json"):  # takes over, comes to judging, and is killed there
        pass
    nights.slides, nights.out = site.slides, site.out
    summary = nights.refresh()
    assert (summary.done, summary.exit_code) == (("late",), 0)
    assert not list(site.out.glob("refresh/_*"))
