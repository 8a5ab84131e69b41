"""What slides, windows, patches, tasks and waves cost on one core here, from real runs of the tiling job.

    python -m benchmarks.cluster_model_costs FOLDER RECIPE [KEY=VALUE …]

Runs as a process of its own, pinned to one core by who starts it. Prints the `Costs` as one line of JSON. Told is
processor time: of one core with one slot that is the time it takes, and it hardly moves where others use the machine.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from pyspark.sql import SparkSession
from scipy.optimize import nnls

from benchmarks.big_slides import Slides
from benchmarks.cluster_model_jobs import Costs
from benchmarks.ours import link_files
from benchmarks.processes import cpu_seconds
from cluster.lock import output_lock
from cluster.session import spark_session
from cluster.storage import Store
from cluster.worker import make_tasks_quick
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.ledger import latest
from preprocessing.publish import SlideTable
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from preprocessing.splits import matches

_ALL: Final = ("tiling.sampling.normals_per_tumor=null", "tiling.sampling.from_slides_without_tumor=null")
_SPARSE: Final = "1 gigapixel"
_TINY: Final = 6
_MANY: Final = 24
_TASKS: Final = 100
_PUBLISHED: Final = 50


@dataclass(frozen=True)
class _Ran:
    """A run: its seconds, those of its workers on units, and of each slide the area, windows and patches."""

    seconds: float
    worked: Sequence[float]
    areas: Sequence[float]
    windows: Sequence[int]
    patches: Sequence[int]


def measure(cache: Path, conf: Path, settings: Sequence[str]) -> Costs:
    """Run the job on drawn slides, few and many, tiny and big, and take the costs apart.

    Args:
        cache: folder of the drawn slides.
        conf: the recipe.
        settings: its overrides.
    """
    slides, work = Slides(cache), cache / "work" / "cluster_model"
    tiny = slides.tiny(_MANY)
    recipe = load_recipe(str(conf), settings)
    every = load_recipe(str(conf), (*settings, *_ALL))
    with spark_session("calibration", "local[1]") as spark:
        task, dispatch = _task_seconds(spark), _dispatch_seconds(spark)
        publish = _publish_seconds(work)
        _run(spark, recipe, tiny[:_TINY], work, _TINY)  # for warmth
        waves = _run(spark, recipe, tiny[:_TINY], work, 1)
        once = _run(spark, recipe, tiny[:_TINY], work, _TINY)
        many = _run(spark, recipe, tiny, work, _MANY)
        kinds = [recipe] if recipe.tiling.sampling.keeps_all else [recipe, every]
        big = [_run(spark, kind, [slide], work, 1) for kind in kinds for slide in _big(slides)]
    fixed = float(np.median([_besides(ran) for ran in big]))  # a job of one wave of one slide
    a_slide = max(0.0, (_besides(many) - fixed) / (_MANY - 1))
    wave = max(0.0, (waves.seconds - once.seconds) / (_TINY - 1))
    tasks = 2 if recipe.tiling.sampling.keeps_all else 4  # of a slide that is one unit
    prepare = max(0.0, a_slide - tasks * task - publish)
    area, window, patch = _solved(big, glass_is_read=not recipe.tiling.tissue.needs_thumbnail)
    return Costs(area, window, patch, prepare, task, dispatch, publish, wave, max(0.0, fixed - wave - a_slide))


def _besides(ran: _Ran) -> float:
    """Seconds of a run that no unit of work took."""
    return ran.seconds - sum(ran.worked)


def _big(slides: Slides) -> list[Path]:
    return [*slides.big(1), slides.sparse(_SPARSE)]


def _run(spark: SparkSession, recipe: Recipe, files: Sequence[Path], work: Path, wave: int) -> _Ran:
    shutil.rmtree(work, ignore_errors=True)
    # A recipe that declares all slides normal refuses the annotations of the drawn ones.
    annotated = [file for file in files if not matches(file.stem, recipe.tiling.labels.normal_slides)]
    source = link_files(
        [*files, *(xml for file in annotated if (xml := file.with_suffix(".xml")).exists())], work / "in"
    )
    entries = inventory(str(source), recipe.tiling, recipe.seed)
    started, before = time.perf_counter(), cpu_seconds(os.getpid())
    summary = run_tiling(spark, recipe, entries, str(work / "out"), wave)
    wall, seconds = time.perf_counter() - started, cpu_seconds(os.getpid()) - before
    if summary.failed:
        raise SystemExit(f"{summary.failed} slides failed: {summary.faults}")
    rows = latest(Store(str(work / "out")), "tile")
    scale = 4 ** (recipe.tiling.scales[0].level or 0) if recipe.tiling.scales[0].mpp is None else _finer(recipe)
    areas = rows["width"].astype(float) * rows["height"] / scale / 1e6
    return _Ran(
        seconds, list(rows["seconds"] * seconds / wall), list(areas), list(rows["candidates"]), list(rows["patches"])
    )


def _finer(recipe: Recipe) -> float:
    """Level-0 pixels in a scale-0 pixel of the drawn slides, which have 0.25 um per pixel."""
    return ((recipe.tiling.scales[0].mpp or 0.25) / 0.25) ** 2


def _solved(runs: Sequence[_Ran], *, glass_is_read: bool) -> tuple[float, float, float]:
    """Seconds for a million pixels, a window and a patch that explain best what the slides took; none is below 0.

    Where tissue is judged on the thumbnail, glass costs nothing.
    """
    rows = [
        (area, found, kept, seconds)
        for run in runs
        for area, found, kept, seconds in zip(run.areas, run.windows, run.patches, run.worked, strict=True)
    ]
    table = np.array(rows, dtype=float)
    scale = np.maximum(table[:, :3].max(axis=0), 1.0)
    counted = (1.0, 1.0, 1.0) if glass_is_read else (0.0, 0.0, 1.0)
    solution, _ = nnls(table[:, :3] / scale * counted, table[:, 3])
    area, window, patch = (solution / scale).tolist()
    return area, window, patch


def _task_seconds(spark: SparkSession) -> float:
    tasks = spark.sparkContext.parallelize(range(_TASKS), _TASKS).map(lambda _: make_tasks_quick())
    tasks.collect()
    before = cpu_seconds(os.getpid())
    tasks.collect()
    return (cpu_seconds(os.getpid()) - before) / _TASKS


def _dispatch_seconds(spark: SparkSession) -> float:
    """Of tasks that never leave Java; here their own work lies on the same core, so that this is rather too much."""
    frame = spark.range(0, _TASKS, 1, _TASKS)
    frame.write.format("noop").mode("overwrite").save()
    before = cpu_seconds(os.getpid())
    frame.write.format("noop").mode("overwrite").save()
    return (cpu_seconds(os.getpid()) - before) / _TASKS


def _publish_seconds(work: Path) -> float:
    shutil.rmtree(work, ignore_errors=True)
    table = SlideTable(Store(str(work / "published")), "patches")
    folders = [f"slide_id=slide_{number}" for number in range(_PUBLISHED)]
    for folder in folders:
        place = Path(table.staging, folder)
        place.mkdir(parents=True)
        (place / "part.parquet").touch()
    with output_lock(table.store, table.run, "calibration"):
        started = time.perf_counter()  # mostly waiting for the disk
        for folder in folders:
            table.publish(folder, folder.removeprefix("slide_id="))
        return (time.perf_counter() - started) / _PUBLISHED


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))))
