"""Kill a tiling job at random moments, over and over, and see that nothing is lost, doubled or left.

    python -m tests.preprocessing.chaos [--kills 50] [--workers 50] [--seed 1]

`--kills` counts drivers and whole process groups, half each; `--workers` the Python workers of Spark that are killed
besides. The job tiles the same slides into one output after the other (`chaos_job`); one that is killed leaves its
output to the next. In the end every output is run over once more, undisturbed, and has to equal that of a job that was
never disturbed, file by file. Meanwhile a reader looks: every slide that it sees has to be whole.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from histospark.drawing import draw_slide
from tests.conftest import ROOT
from tests.tables import digests, ledger_of

BEGUN = "begun"  # what the job says when Spark is up


@dataclass
class Chaos:
    """What was killed, and what the reader has seen.

    Attributes:
        folder: for slides, outputs and whatever Spark leaves.
        drivers, groups, workers: how many of each were killed.
        looks: slides that the reader looked at and found whole.
        torn: what it found that was not.
    """

    folder: Path
    drivers: int = 0
    groups: int = 0
    workers: int = 0
    looks: int = 0
    torn: list[str] = field(default_factory=list)

    @property
    def outs(self) -> list[Path]:
        return sorted((self.folder / "outs").glob("*"))


def chaos(folder: Path, kills: int, workers: int, seed: int) -> Chaos:
    """Do it.

    Args:
        folder: empty.
        kills: of drivers and of process groups, in turns.
        workers: kills of Spark's Python workers and of the process that they are forked from.
        seed: of moments and victims.
    """
    rng, done = random.Random(seed), Chaos(folder)
    slides, undisturbed = folder / "slides", folder / "undisturbed"
    slides.mkdir()
    for number in range(3):
        draw_slide(slides, f"tumor_{number}", seed=number, side=512, lesions=1)
    usual = _finish(undisturbed, 1)
    expected = digests(undisturbed / "0000000")
    over = threading.Event()
    reader = threading.Thread(target=_look, args=(done, expected, over))
    reader.start()
    try:
        while done.drivers + done.groups < kills:
            left = kills - done.drivers - done.groups
            _run_and_kill(done, rng, usual, workers=-(-(workers - done.workers) // left))
    finally:
        over.set()
        reader.join()
    _finish(folder / "outs", len(done.outs))
    for out in done.outs:
        assert digests(out) == expected, out
        assert not list(out.rglob("_*")), "something is left"
        last = ledger_of(out).groupby("slide_id").tail(1)
        assert last["status"].tolist() == ["done"] * 3
        assert last["patches"].sum() > 0
    assert not done.torn, done.torn
    return done


def _start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"SPARK_LOCAL_DIRS": str(folder / "spark"), "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "tests.preprocessing.chaos_job", str(folder / "slides"), *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=(folder / "job.log").open("a"), text=True,
    )  # fmt: skip


def _finish(outs: Path, count: int) -> float:
    """Run over the outputs in a folder, undisturbed; the seconds that it took once Spark was up."""
    folder = outs.parent
    job = _start(folder, str(outs), "0", str(count))
    assert job.stdout is not None
    job.stdout.readline()
    begun = time.monotonic()
    job.communicate()
    assert job.returncode == 0, (folder / "job.log").read_text()[-3000:]
    return time.monotonic() - begun


def _run_and_kill(done: Chaos, rng: random.Random, usual: float, workers: int) -> None:
    """Start a job that goes on where the last one was killed, kill some of its workers, and then itself."""
    touched = done.outs
    first = len(touched) - 1 if touched else 0
    job = _start(done.folder, str(done.folder / "outs"), str(first), "1000000")
    assert job.stdout is not None
    if rng.random() < 0.1:
        time.sleep(rng.uniform(0, usual))  # Spark may not even be up
    else:
        assert job.stdout.readline() == f"{BEGUN}\n", (done.folder / "job.log").read_text()[-3000:]
        rest = rng.uniform(0, 1.5 * usual)  # more than one output, as the first takes longest
        for _ in range(workers):
            time.sleep(rest / (workers + 1))
            done.workers += _kill_worker(job.pid, rng)
        time.sleep(rest / (workers + 1))
    assert job.poll() is None, (done.folder / "job.log").read_text()[-3000:]
    if done.drivers <= done.groups:
        job.kill()
        done.drivers += 1
    else:
        os.killpg(job.pid, signal.SIGKILL)
        done.groups += 1
    job.wait()
    job.stdout.close()


def _kill_worker(driver: int, rng: random.Random) -> bool:
    """Kill one of Spark's Python processes below a driver; False where there is none at the moment."""
    parents = dict(_processes())
    victims = [pid for pid in parents if "pyspark.daemon" in _command(pid) and driver in _ancestors(pid, parents)]
    if not victims:
        return False
    try:
        os.kill(rng.choice(sorted(victims)), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _processes() -> list[tuple[int, int]]:
    """(pid, pid of its parent) of all."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found.append((int(folder.name), int((folder / "stat").read_text().rpartition(")")[2].split()[1])))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _ancestors(pid: int, parents: dict[int, int]) -> list[int]:
    found = []
    while pid := parents.get(pid, 0):
        found.append(pid)
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _look(done: Chaos, expected: dict[str, str], over: threading.Event) -> None:
    """A reader that lists the newest tables and reads all that it finds, over and over."""
    wanted: dict[str, dict[str, str]] = {}
    for name, digest in expected.items():
        wanted.setdefault(str(Path(name).parents[1]), {})[name] = digest
    while not over.wait(0.05):
        for out in done.outs[-2:]:
            for slide in out.glob("patches/split=*/slide_id=*"):
                try:
                    inode = slide.stat().st_ino
                    seen = digests(out, str(slide.relative_to(out)))
                    if slide.stat().st_ino != inode:
                        continue  # taken out and put back while we looked: a reader starts anew
                except FileNotFoundError:  # taken out while we looked
                    continue
                done.looks += 1
                if seen != wanted[str(slide.relative_to(out))]:
                    done.torn.append(f"{slide}: {seen}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="of drivers and process groups")
    parser.add_argument("--workers", type=int, default=50, help="of Spark's Python workers")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        done = chaos(Path(folder), asked.kills, asked.workers, asked.seed)
        print(
            f"{done.drivers} drivers, {done.groups} process groups, {done.workers} workers killed in "
            f"{time.monotonic() - started:.0f} s; {len(done.outs)} outputs equal the undisturbed one; "
            f"a reader saw {done.looks} slides, all whole"
        )


if __name__ == "__main__":
    main()
