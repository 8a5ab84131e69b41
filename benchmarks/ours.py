"""`histospark tile` as users run it, timed as a whole process."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openslide
import pyarrow.dataset as ds
from numpy.typing import NDArray

from benchmarks.pairs import Run
from benchmarks.processes import Finished, run_whole

RECIPES = Path(__file__).parent / "recipes"
TILES_256 = RECIPES / "tiles256.yaml"


def tile(
    files: Sequence[Path],
    recipe: Path,
    work: Path,
    cores: int,
    *,
    settings: Sequence[str] = (),
    watch_memory: bool = False,
) -> tuple[Run, Finished]:
    """Tile slides into a fresh table on local Spark with one worker per core.

    Args:
        files: slides, and annotations where they count; linked into a folder of their own.
        recipe: conf file.
        work: folder for slides, table and log; emptied.
        cores: of everything, Java included.
        settings: overrides of the recipe, `key=value`.
        watch_memory: see `run_whole`.
    """
    shutil.rmtree(work, ignore_errors=True)
    source = link_files(files, work / "slides")
    command: list[str | Path] = [
        Path(sys.executable).with_name("histospark"),
        "tile",
        "--conf",
        recipe,
        "--slides",
        source,
    ]
    command += ["--out", work / "out", "--master", f"local[{cores}]"]
    for setting in settings:
        command += ["--set", setting]
    finished = run_whole(command, cores, work / "log.txt", watch_memory=watch_memory)
    return Run(finished.seconds, count_patches(work / "out")), finished


def link_files(files: Sequence[Path], folder: Path) -> Path:
    """A new folder with links to files."""
    folder.mkdir(parents=True)
    for file in files:
        (folder / file.name).symlink_to(file.resolve())
    return folder


def count_patches(out: Path) -> int:
    """Rows of a patch table; 0 where nothing was written."""
    folder = out / "patches"
    return int(ds.dataset(folder, format="parquet").count_rows()) if folder.is_dir() else 0


def tile_numbers(slide: Path, recipe: Path, work: Path, tile_side: int = 256) -> NDArray[np.int64]:
    """Which of a slide's own tiles our job keeps, for loops that need no tissue rule of their own.

    Args:
        slide: its windows are its tiles.
        recipe: of the job.
        work: folder; emptied.
        tile_side: pixels.

    Returns:
        (n,) int64, numbers at level 0 in raster order.
    """
    tile([slide], recipe, work, cores=1)
    rows = ds.dataset(work / "out" / "patches", format="parquet").to_table(columns=["x", "y"])
    with openslide.OpenSlide(slide) as opened:
        columns = -(-opened.dimensions[0] // tile_side)
    x, y = (rows[name].to_numpy().astype(np.int64) // tile_side for name in ("x", "y"))
    return np.sort(y * columns + x)
