"""Memory of workers and driver on slides of 1 and of 10 gigapixels whose units of work are equally full.

    python -m benchmarks.memory

Each slide is tiled by `histospark tile` on two cores, as a whole process; told is the largest resident memory that one
process of each kind ever had. Shared pages count in full, so the sum over processes is less.
"""

from pathlib import Path

import click

from benchmarks import ours
from benchmarks.big_slides import SPARSE, Slides
from benchmarks.options import common_options
from benchmarks.report import say

KINDS = {"worker": "Python worker, the largest", "driver": "driver's Python", "java": "Spark's Java (1 GB heap)"}
ALLOWED = 1.1
WAYS = {
    "256 px, re-encoded": (ours.TILES_256, ()),
    "256 px, copied": (ours.TILES_256, ("tiling.image.copy_tiles=true",)),
    "256 px, gray rule on every pixel": (ours.TILES_256, ("tiling.tissue.method=gray",)),
}


@click.command()
@common_options
def main(cache: Path) -> None:
    """Print MB for each kind of process, way of tiling and slide."""
    slides = Slides(cache)
    for way, (recipe, settings) in WAYS.items():
        peaks = []
        for name in SPARSE:
            path = slides.sparse(name)
            run, finished = ours.tile(
                [path], recipe, cache / "work" / "memory", 2, settings=settings, watch_memory=True
            )
            click.echo(f"{way}, {name}: {run.tiles} tiles in {run.seconds:.0f} s, start-up included")
            for kind, what in KINDS.items():
                say(what, f"{finished.peaks.get(kind, 0):,.0f} MB")
            peaks.append(finished.peaks.get("worker", 0.0))
        ratio = peaks[1] / peaks[0]
        verdict = "met" if ratio <= ALLOWED else "NOT MET"
        say("worker, 10 gigapixels / 1 gigapixel", f"{ratio:.2f}, bar: the same (at most {ALLOWED}): {verdict}")


if __name__ == "__main__":
    main()
