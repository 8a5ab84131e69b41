"""conf/camelyon16.yaml (80 px at two scales, gray rule, drawn normals) against the same job with OpenSlide patch reads.

    python -m benchmarks.camelyon16_speed [--rounds 5]

Eight slides of 16384 px with lesions. The peer (`openslide_session`) keeps the same patches, reads in raster order and
encodes with libjpeg-turbo; both have two cores.
"""

import sys
from contextlib import ExitStack
from pathlib import Path

import click
import numpy as np
import pyarrow.dataset as ds

from benchmarks import ours as ours_whole
from benchmarks.big_slides import Slides, with_annotations
from benchmarks.openslide_session import RECIPE
from benchmarks.options import common_options
from benchmarks.pairs import in_turn, measured, ratio
from benchmarks.report import Bar, say
from benchmarks.sessions import Session, our_session
from preprocessing.recipe_file import load_recipe

OURS = {"recipe": str(RECIPE)}


def chosen_windows(files: list[Path], work: Path, to: Path) -> None:
    """Tile once and keep where the patches were.

    Args:
        files: slides and annotations; all levels are half of the one above.
        work: folder of the run; emptied.
        to: `npz` to write: slide_id to (n, 2) int64, scale-0 pixels.
    """
    ours_whole.tile(files, RECIPE, work, cores=2)
    rows = ds.dataset(work / "out" / "patches", format="parquet", partitioning="hive").to_table(
        columns=["slide_id", "x", "y"]
    )
    downsample = 2 ** (load_recipe(str(RECIPE)).tiling.scales[0].level or 0)
    names = np.array(rows["slide_id"].to_pylist())
    xy = np.stack([rows["x"].to_numpy(), rows["y"].to_numpy()], axis=1).astype(np.int64) // downsample
    np.savez(to, **{str(name): xy[names == name] for name in np.unique(names)})


@click.command()
@common_options
@click.option("--rounds", default=5, show_default=True, help="Counted runs of every way.")
def main(cache: Path, rounds: int) -> None:
    """Print patches per second and the ratio."""
    slides, work = Slides(cache), cache / "work"
    eight, two_tiny = with_annotations(slides.big(8)), slides.tiny(2)
    work.mkdir(parents=True, exist_ok=True)
    chosen = work / "chosen.npz"
    chosen_windows(eight, work / "chosen", chosen)
    with ExitStack() as stack:
        ours = stack.enter_context(our_session(2, work / "ours"))
        command: list[str | Path] = [sys.executable, "-m", "benchmarks.openslide_session", "2", chosen]
        peer = stack.enter_context(Session(command, 2, work / "peer"))
        ours.warm(two_tiny, **OURS)
        peer.warm(two_tiny)
        runs = in_turn(
            {
                "ours, tiny": lambda: ours.tile(two_tiny, **OURS),
                "peer, tiny": lambda: peer.tile(two_tiny),
                "ours": lambda: ours.tile(eight, **OURS),
                "peer": lambda: peer.tile(eight),
            },
            rounds,
        )
    mine, other = measured(runs, "ours", "ours, tiny"), measured(runs, "peer", "peer, tiny")
    click.echo("conf/camelyon16.yaml on eight 16384 px slides; 2 cores; median (lowest to highest)")
    say("start-up taken off: ours, peer (s)", f"{ours.start_up:.1f}, {peer.start_up:.1f}")
    for name, way in (("ours", mine), ("OpenSlide patch reads in raster order", other)):
        say(name, way)
    Bar("ours / OpenSlide patch reads", ratio(mine, other), 2.5).tell()


if __name__ == "__main__":
    main()
