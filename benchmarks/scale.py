"""Many slides: what a slide costs and what the driver holds as the table grows, and planning for 100,000.

    python -m benchmarks.scale [--slides 1000] [--planned 100000]

Small drawn slides (512 px), so that what is seen is the cost of slides, not of pixels. They go in five parts, each a
job of the same Spark session into the same table; memory is looked at after each, Java's heap after a collection.
"""

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import click

from benchmarks.big_slides import Slides
from benchmarks.options import common_options
from benchmarks.ours import TILES_256
from benchmarks.processes import run_whole
from benchmarks.report import say
from cluster.session import spark_session
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.recipe_file import load_recipe

PARTS = 5
_SETTINGS = ("tiling.block=256",)
_FLAT = 1.25
_RERUN_SECONDS = 30
_DRIVER_MB = 4096


@click.command()
@common_options
@click.option("--slides", "count", default=1000, show_default=True, help="Small slides to tile.")
@click.option("--planned", default=100_000, show_default=True, help="Slides to plan for.")
def main(cache: Path, count: int, planned: int) -> None:
    """Print cost per slide, memory of the driver, seconds of a second run, and figures of planning."""
    work = cache / "work" / "scale"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    paths = Slides(cache).small(count)
    click.echo(f"{count} slides of 512 px, {PARTS} parts in one session, 2 cores")
    _grow(paths[0].parent, work / "out")
    command: list[str | Path] = [Path(sys.executable).with_name("histospark"), "tile", "--conf", TILES_256]
    command += ["--slides", paths[0].parent, "--out", work / "out", "--master", "local[2]", "--set", *_SETTINGS]
    again = run_whole(command, 2, work / "log.txt").seconds
    say("second run over the finished set", _verdict(f"{again:.1f} s", f"{_RERUN_SECONDS} s", again < _RERUN_SECONDS))
    _plan(work / "planning", planned)
    shutil.rmtree(work)


def _grow(source: Path, out: Path) -> None:
    recipe = load_recipe(str(TILES_256), _SETTINGS)
    entries = inventory(str(source), recipe.tiling, recipe.seed)
    size = len(entries) // PARTS
    costs, heaps, resident = [], [], []
    with spark_session("scale", "local[2]") as spark:
        for part in range(1, PARTS + 1):
            started = time.perf_counter()
            run_tiling(spark, recipe, entries[: part * size], str(out))
            costs.append((time.perf_counter() - started) / size)
            runtime = spark._jvm.java.lang.Runtime.getRuntime()  # type: ignore[union-attr]
            spark._jvm.java.lang.System.gc()  # type: ignore[union-attr]
            heaps.append((runtime.totalMemory() - runtime.freeMemory()) / 2**20)
            resident.append(_resident_mb())
            where = f"{costs[-1] * 1000:.0f} ms a slide; heap {heaps[-1]:.0f} MB; Python {resident[-1]:.0f} MB"
            say(f"slides {(part - 1) * size + 1} to {part * size}", where)
    # The first part pays for the start of the workers and for Java's warming up.
    flat = costs[-1] / statistics.median(costs[1:-1])
    say("cost of the last part / of those between", _verdict(f"{flat:.2f}", f"at most {_FLAT}", flat <= _FLAT))
    for name, sizes in (("Java heap", heaps), ("driver's Python", resident)):
        growth = sizes[-1] / sizes[1]
        say(f"{name}, last part / second", _verdict(f"{growth:.2f}", f"at most {_FLAT}", growth <= _FLAT))


def _plan(folder: Path, slides: int) -> None:
    command = [sys.executable, "-m", "benchmarks.planning", str(folder), str(slides)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode:
        raise click.ClickException(f"planning failed:\n{said.stderr[-2000:]}")
    figures = json.loads(said.stdout.splitlines()[-1])
    click.echo(f"planning for {slides:,} slides, no pixels")
    for what, seconds in figures["seconds"].items():
        say(what, f"{seconds:.1f} s")
    peak = figures["peak_mb"]
    say("driver's Python, largest", _verdict(f"{peak:,.0f} MB", f"below {_DRIVER_MB} MB", peak < _DRIVER_MB))


def _verdict(figure: str, bar: str, is_met: bool) -> str:
    return f"{figure}, bar {bar}: {'met' if is_met else 'NOT MET'}"


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    main()
