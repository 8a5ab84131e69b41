"""Kill a tiling job at random moments, over and over, and see that nothing is lost, doubled or left.

    python -m tests.preprocessing.chaos [--at URI] [--kills 50] [--workers 50] [--seed 1]

Slides and outputs lie below the URI, by default in a folder of this machine. `--kills` counts drivers and whole process
groups, half each; `--workers` the Python workers of Spark that are killed besides. The job tiles the same slides into
one output after the other (`chaos_job`), the first of them undisturbed; one that is killed leaves its output to the
next. In the end every output is run over once more and has to equal the first, file by file. Meanwhile a reader looks:
every slide that it sees has to be whole.
"""

import argparse
import hashlib
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

from cluster.storage import Store
from histospark.drawing import draw_slide
from preprocessing import ledger
from preprocessing.published_files import MANIFESTS, published_folders
from tests.cluster.tables_elsewhere import stored
from tests.conftest import ROOT

BEGUN = "begun"  # what the job says when Spark is up; after that, the number of each output that is done
ENDLESS = 1_000_000


@dataclass
class Chaos:
    """What was killed, and what the reader has seen.

    Attributes:
        place: of slides and outputs.
        folder: of this machine, for whatever Spark leaves.
        drivers, groups, workers: how many of each were killed.
        looks: slides that the reader looked at and found whole.
        torn: what it found that was not.
    """

    place: Store
    folder: Path
    drivers: int = 0
    groups: int = 0
    workers: int = 0
    looks: int = 0
    torn: list[str] = field(default_factory=list)

    @property
    def outs(self) -> list[Store]:
        return [Store(f"{self.place.uri}/outs/{name}") for name in self.place.names("outs")]


def chaos(uri: str, folder: Path, kills: int, workers: int, seed: int, slides: int = 3) -> Chaos:
    """Do it.

    Args:
        uri: of a place for slides and outputs; nothing is there yet.
        folder: an empty one, of this machine.
        kills: of drivers and of process groups, in turns.
        workers: kills of Spark's Python workers and of the process that they are forked from.
        seed: of moments and victims.
        slides: in each output; two make a wave.
    """
    rng, done = random.Random(seed), Chaos(Store(uri), folder)
    drawn = folder / "drawn"
    drawn.mkdir()
    for number in range(slides):
        draw_slide(drawn, f"tumor_{number}", seed=number, side=512, lesions=1)
    stored(drawn, Store(f"{uri}/slides"))
    job = _start(done, 0, ENDLESS)
    _wait_for(BEGUN, job, done)
    begun = time.monotonic()
    _wait_for("0", job, done)
    usual = time.monotonic() - begun
    expected = digests(done.outs[0])
    assert len(expected) > slides
    over = threading.Event()
    reader = threading.Thread(target=_look, args=(done, expected, over))
    reader.start()
    try:
        _kill(job, done, rng, usual, workers=-(-workers // kills))
        while (left := kills - done.drivers - done.groups) > 0:
            job = _start(done, len(done.outs) - 1, ENDLESS)  # goes on where the last one was killed
            if rng.random() < 0.1:
                time.sleep(rng.uniform(0, usual))  # Spark may not even be up
                _kill(job, done, rng, 0, workers=0)
            else:
                _wait_for(BEGUN, job, done)
                _kill(job, done, rng, usual, workers=-(-(workers - done.workers) // left))
    finally:
        over.set()
        reader.join()
        if job.poll() is None:  # something is wrong, and nobody else ends it
            os.killpg(job.pid, signal.SIGKILL)
    job = _start(done, 0, len(done.outs))
    job.communicate()
    assert job.returncode == 0, _log_of(done)
    for out in done.outs:
        assert digests(out) == expected, out.uri
        assert not [path for path in out.files() if "/_" in path and f"/{MANIFESTS}/" not in path], "something is left"
        last = ledger.latest(out, "tile")
        assert last["status"].tolist() == ["done"] * slides
        assert last["patches"].sum() > 0
    assert not done.torn, done.torn
    return done


def digests(out: Store, folder: str = "patches") -> dict[str, str]:
    """Hash of every Parquet file below a folder, by its path below the output."""
    paths = [path for path in out.files(folder) if path.endswith(".parquet")]
    return {path[len(out.root) + 1 :]: hashlib.sha256(out.fs.cat_file(path)).hexdigest() for path in paths}


def _start(done: Chaos, first: int, end: int) -> "subprocess.Popen[str]":
    folder, place = done.folder, done.place.uri
    environment = os.environ | {"SPARK_LOCAL_DIRS": str(folder / "spark"), "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "tests.preprocessing.chaos_job", f"{place}/slides", f"{place}/outs"]
    return subprocess.Popen(
        [*command, str(first), str(end)], cwd=ROOT, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=(folder / "job.log").open("a"), text=True,
    )  # fmt: skip


def _wait_for(word: str, job: "subprocess.Popen[str]", done: Chaos) -> None:
    assert job.stdout is not None
    assert job.stdout.readline() == f"{word}\n", _log_of(done)


def _log_of(done: Chaos) -> str:
    return (done.folder / "job.log").read_text()[-3000:]


def _kill(job: "subprocess.Popen[str]", done: Chaos, rng: random.Random, usual: float, workers: int) -> None:
    """Kill some workers of a job at moments of the next seconds, and then the job itself."""
    rest = rng.uniform(0, 1.5 * usual)  # more than one output, as the first takes longest
    for _ in range(workers):
        time.sleep(rest / (workers + 1))
        done.workers += _kill_worker(job.pid, rng)
    time.sleep(rest / (workers + 1))
    assert job.poll() is None, _log_of(done)
    if done.drivers <= done.groups:
        job.kill()
        done.drivers += 1
    else:
        os.killpg(job.pid, signal.SIGKILL)
        done.groups += 1
    job.wait()
    assert job.stdout is not None
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
            for slide in published_folders(out, "patches"):
                what_tells = f"patches/{slide}" if out.renames else f"patches/{MANIFESTS}/{slide}.json"
                try:
                    before = out.fs.info(out.path(what_tells))
                    seen = digests(out, f"patches/{slide}")
                    if out.fs.info(out.path(what_tells)) != before:
                        continue  # taken out and put back while we looked: a reader starts anew
                except FileNotFoundError:  # taken out while we looked
                    continue
                done.looks += 1
                if seen != wanted[f"patches/{slide}"]:
                    done.torn.append(f"{out.uri}: {slide}: {seen}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at", help="URI of an empty place for slides and outputs")
    parser.add_argument("--kills", type=int, default=50, help="of drivers and process groups")
    parser.add_argument("--workers", type=int, default=50, help="of Spark's Python workers")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        done = chaos(asked.at or f"{folder}/place", Path(folder), asked.kills, asked.workers, asked.seed)
        print(
            f"{done.drivers} drivers, {done.groups} process groups, {done.workers} workers killed in "
            f"{time.monotonic() - started:.0f} s; {len(done.outs)} outputs equal the undisturbed one; "
            f"a reader saw {done.looks} slides, all whole"
        )


if __name__ == "__main__":
    main()
