"""Memory of assembling the heatmap of a slide of 0.1 and of one of 10 gigapixels.

    python -m benchmarks.heatmap_memory

Both slides get predictions everywhere, on a grid so close that each pixel lies under 64 windows, with the same share
of tumor. Each is assembled in a process of its own (cells, pyramid, polygons, picture, lesions, score); told is the
largest resident memory it ever had, and that of a process that has but loaded the libraries.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.big_slides import Slides, write_big_slide
from benchmarks.options import common_options
from benchmarks.processes import peak_of
from benchmarks.report import say
from cluster.storage import Store
from histospark.drawing.big import draw_library
from inference.assemble import HEATMAP, POLYGONS, PYRAMID, assemble
from inference.predict import PREDICTION_SCHEMA
from preprocessing.grid import count_shards, to_level_0
from preprocessing.inference_settings import Inference
from preprocessing.readers.opening import open_proved
from preprocessing.recipe import Recipe
from preprocessing.scales import resolve_scales, slide_mpp
from preprocessing.shard_file import WRITING, write_shard
from preprocessing.slide_entry import SlideEntry
from preprocessing.slide_facts import SlideFacts
from preprocessing.slide_plan import SlidePlan, grid_of
from preprocessing.tiling_settings import Scale, Tiling

WINDOW, STRIDE = 256, 32
TUMOR_EVERY, TUMOR_RADIUS = 8192, 600
"""Level-0 pixels: one round tumor in each square of that side."""
SMALL, SHARE, LARGE = 10240, 0.6, "10 gigapixels"
"""Side of the small slide in pixels, its share of tissue, and which one is the large slide."""
ALLOWED = (0.9, 1.1)


def recipe() -> Recipe:
    """Level 0, close windows, the mean of all windows over a cell."""
    tiling = Tiling(scales=(Scale(level=0),), window=WINDOW, center=128, stride=STRIDE)
    return Recipe(name="heatmap_memory", tiling=tiling, inference=Inference(stride=STRIDE, overlap="mean"))


def plan_of(path: Path) -> SlidePlan:
    """What `prepare` would say of a slide."""
    slide, choice = open_proved(str(path))
    with slide:
        info, tiling = slide.info, recipe().tiling
    mpp, source = slide_mpp(info, None, tiling)
    scales = resolve_scales(info, mpp, tiling)
    grid = grid_of(recipe(), path.stem)
    shards = count_shards(grid, info.width, info.height, tiling.block, tiling.blocks_per_shard)
    facts = SlideFacts(info, choice.name, choice.note, mpp, source)
    return SlidePlan(SlideEntry(path.stem, str(path)), facts, choice, scales, shards)


def write_predictions(plan: SlidePlan, staging: Path) -> int:
    """Write the shards as the workers would; returns the number of windows."""
    staging.joinpath(WRITING).mkdir(parents=True)
    count = 0
    for shard in range(plan.shards):
        grid, blocks = plan.blocks(shard, recipe())
        size = (plan.scales[0].width, plan.scales[0].height)
        origins = np.concatenate([block.origins(grid, *size) for block in blocks])
        xy = to_level_0(origins, plan.scales[0].downsample)
        ones = np.ones(len(xy), np.float32)
        columns = [xy[:, 0], xy[:, 1], invented(xy + WINDOW // 2, shard), ones, ["model"] * len(xy)]
        table = pa.Table.from_arrays([pa.array(column) for column in columns], schema=PREDICTION_SCHEMA)
        name = f"slide_id={plan.entry.slide_id}/part-{shard:05d}.parquet"
        write_shard([table], PREDICTION_SCHEMA, Store(str(staging)), name)
        count += len(table)
    return count


def invented(centers: NDArray[np.int32], seed: int) -> NDArray[np.float32]:
    """Probabilities: noise, low but for the tumors; (n,) of (n, 2) level-0 pixels."""
    noise = np.random.default_rng(seed).random(len(centers))
    away = np.linalg.norm(centers % TUMOR_EVERY - TUMOR_EVERY / 2, axis=1)
    return np.where(away < TUMOR_RADIUS, 0.8 + 0.2 * noise, 0.4 * noise).astype(np.float32)


def peak_in_own_process(slide: Path | None, staging: Path) -> float:
    """Assemble a slide in a fresh process, or only load what that takes; its largest resident memory, MB."""
    command = [sys.executable, "-m", "benchmarks.heatmap_memory", "--staging", str(staging)]
    command += [] if slide is None else ["--slide", str(slide)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(done.stderr.strip().splitlines()[-1])
    return float(done.stdout)


def slides(cache: Path) -> dict[str, Path]:
    """The two slides, drawn where they are missing."""
    small = cache / "slides" / f"sparse_{SMALL}_{SHARE:.1f}.tif"
    if not small.exists():
        small.parent.mkdir(parents=True, exist_ok=True)
        write_big_slide(small, draw_library(1), np.random.default_rng(1), SMALL, SHARE, is_shared=True)
    return {"0.1 gigapixels": small, LARGE: Slides(cache).sparse(LARGE)}


@click.command()
@common_options
@click.option("--staging", type=click.Path(path_type=Path), help="Assemble below this folder, in this process.")
@click.option("--slide", type=click.Path(path_type=Path), help="The slide that has its predictions there.")
def main(cache: Path, staging: Path | None, slide: Path | None) -> None:
    """Print MB for each slide, and their ratio."""
    if staging is not None:
        if slide is not None:
            assemble(plan_of(slide), recipe(), "model", "none", str(staging))
        click.echo(peak_of(os.getpid()))
        return
    work = cache / "work" / "heatmap_memory"
    say("the libraries alone", f"{peak_in_own_process(None, work):,.0f} MB")
    peaks = []
    for name, path in slides(cache).items():
        shutil.rmtree(work, ignore_errors=True)
        windows = write_predictions(plan_of(path), work)
        started = time.perf_counter()
        peaks.append(peak_in_own_process(path, work))
        seconds = time.perf_counter() - started
        say(name, f"{peaks[-1]:,.0f} MB; {windows:,} windows in {seconds:.0f} s, start-up included")
        sizes = ((kind.rpartition(".")[2], work / kind.format(path.stem)) for kind in (HEATMAP, PYRAMID, POLYGONS))
        say("its files", ", ".join(f"{kind} {file.stat().st_size / 1e6:.2f} MB" for kind, file in sizes))
    shutil.rmtree(work)
    ratio, (least, most) = peaks[1] / peaks[0], ALLOWED
    verdict = "met" if least <= ratio <= most else "NOT MET"
    say("10 gigapixels / 0.1 gigapixels", f"{ratio:.3f}, bar: equal ({least} to {most}): {verdict}")


if __name__ == "__main__":
    main()
