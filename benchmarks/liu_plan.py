"""How many patches, how much disk and how many hours `conf/liu.yaml` takes on CAMELYON16, from rates measured here.

    python -m benchmarks.liu_plan [--costs FILE]

Cutting and judging are measured on one core, with slides that are drawn; the numbers of slides and their tissue are
published (`cluster_model_slides`), and our waves are simulated on them as they are (`cluster_model_jobs`).
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import click
import numpy as np

from benchmarks.cluster_model import measured_costs
from benchmarks.cluster_model_jobs import Cluster, Costs, Kind, Slide, best_wave, ideal
from benchmarks.cluster_model_slides import TEST_SLIDES, camelyon16
from benchmarks.options import common_options
from benchmarks.processes import run_whole
from benchmarks.report import say
from inference.engines.base import Images
from inference.engines.choice import EngineSpec, loaded
from inference.predict import prediction_recipe
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe

CONF: Final = Path(__file__).parent.parent / "conf" / "liu.yaml"
_PAIR: Final = ("tiling.scales=[{level: 0}, {level: 1}]",)
_CORES: Final = (100, 500)
_EXAMPLES_A_SECOND: Final = (500, 2000, 8000)  # of all GPUs together
_JUDGED: Final = 64  # windows
_ASSEMBLE: Final = 9 / 9.8  # seconds of a heatmap for each million places, from docs/inference.md


@dataclass(frozen=True)
class Rates:
    """What was measured on one core.

    Attributes:
        costs: of the tiling job, seconds.
        patch_bytes: of a patch in the table.
        window: seconds to judge a window once, by precision.
    """

    costs: Costs
    patch_bytes: float
    window: dict[str, float]


@click.command()
@common_options
@click.option("--costs", "kept", type=click.Path(path_type=Path), help="File of measured rates; written if missing.")
def main(cache: Path, kept: Path | None) -> None:
    """Print the plan, for one scale and for two."""
    for name, settings in (("40x", ()), ("40x and 20x", _PAIR)):
        file = None if kept is None else kept.with_suffix(f".{len(settings)}{kept.suffix}")
        _plan(name, settings, _rates(cache, settings, file))


def _rates(cache: Path, settings: tuple[str, ...], file: Path | None) -> Rates:
    if file is not None and file.is_file():
        known = json.loads(file.read_text())
        return Rates(Costs(**known["costs"]), known["patch_bytes"], known["window"])
    costs = Costs(**measured_costs(cache, CONF, settings))
    table = sorted((cache / "work" / "cluster_model" / "out" / "patches").rglob("*.parquet"))
    rows = sum(_rows(shard) for shard in table)
    log = cache / "work" / "liu_judge.log"
    run_whole([sys.executable, "-c", f"from benchmarks.liu_plan import judge; judge({settings!r})"], 1, log)
    window = json.loads(log.read_text(errors="replace").splitlines()[-1])
    rates = Rates(costs, sum(shard.stat().st_size for shard in table) / rows, window)
    if file is not None:
        file.write_text(json.dumps(asdict(rates)))
    return rates


def _rows(shard: Path) -> int:
    import pyarrow.parquet as pq  # noqa: PLC0415 - the process that judges needs none

    return int(pq.ParquetFile(shard).metadata.num_rows)


def judge(settings: tuple[str, ...]) -> None:
    """Print the seconds that a window takes in each precision; random weights cost what others cost."""
    import tempfile  # noqa: PLC0415 - to be used in a process of its own, pinned to one core

    from training.export import export_model  # noqa: PLC0415
    from training.models import core_model  # noqa: PLC0415

    recipe = load_recipe(str(CONF), (*settings, "training.weights=none", "training.precision=float32"))
    side, scales = recipe.tiling.window, len(recipe.tiling.scales)
    patches = np.random.default_rng(1).integers(0, 256, (_JUDGED, side, side, 3)).astype(np.uint8)

    def batches() -> Iterator[Images]:
        for start in range(0, _JUDGED, 8):
            yield [patches[start : start + 8]] * scales

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        probe = [{f"scale_{scale}": patches[:8].astype(np.float32) for scale in range(scales)}]
        export_model(core_model(scales, side, recipe.training, 2), Path(folder), probe)
        for precision in ("float32", "bfloat16"):
            one = loaded(EngineSpec("openvino", "model.xml", 8, precision=precision), os.path.join(folder, "model.xml"))
            one.predict(batches())  # for warmth
            started = time.process_time()
            one.predict(batches())
            found[precision] = (time.process_time() - started) / _JUDGED
    print(json.dumps(found))


def _plan(name: str, settings: tuple[str, ...], rates: Rates) -> None:
    recipe = load_recipe(str(CONF), settings)
    judging = prediction_recipe(recipe)
    stride = recipe.tiling.stride
    slides = camelyon16(1, stride)
    test = slides[-TEST_SLIDES:]
    patches = sum(slide.width * slide.height * slide.tissue / stride**2 for slide in slides)
    click.echo(f"{name}: {len(slides)} slides")
    say("patches of tissue", f"{patches / 1e6:.1f} million")
    say("bytes of a patch, disk", f"{rates.patch_bytes:,.0f}, {patches * rates.patch_bytes / 1e12:.2f} TB")
    for precision, seconds in rates.window.items():
        say(f"seconds of a window, one core, {precision}", f"{seconds:.4f}")
    turns = recipe.inference.orientations
    quick = min(rates.window.values()) * turns
    judged = replace(rates.costs, window=rates.costs.window + quick, patch=0.0, assemble=_ASSEMBLE)
    jobs: tuple[tuple[str, list[Slide], Kind, Costs, Recipe], ...] = (
        ("tile all slides", slides, "one pass", rates.costs, recipe),
        ("infer the test slides", test, "infer", judged, judging),
    )
    for job, through, kind, costs, cut in jobs:
        say(f"{job}: core hours", f"{ideal(through, cut, kind, costs) / 3600:,.0f}")
        for cores in _CORES:
            wave, told = best_wave(through, cut, kind, costs, Cluster(cores))
            say(f"{job} on {cores} cores, waves of {wave}", f"{told.seconds / 3600:.2f} h")
    examples = sum(stage.epochs for stage in recipe.training.stages) * (recipe.training.sampling.rows or 0)
    for rate in _EXAMPLES_A_SECOND:
        say(f"training of {examples / 1e6:.0f} million examples at {rate}/s", f"{examples / rate / 3600:.1f} h")


if __name__ == "__main__":
    main()
