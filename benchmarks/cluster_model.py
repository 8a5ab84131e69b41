"""How long CAMELYON16 and TUPAC16 take on 10, 100 and 1,000 cores, on paper, and how good the paper is.

    python -m benchmarks.cluster_model [--rounds 3] [--costs FILE]

What things cost is measured on one core (`cluster_model_costs`), the slides are the published ones
(`cluster_model_slides`), the rest is a simulation of our waves (`cluster_model_jobs`). It is checked against real runs
of another mix of slides on one core, on two, and with four executors that share the two.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Final

import click

from benchmarks.big_slides import BIG, Slides
from benchmarks.cluster_model_jobs import Cluster, Costs, Kind, Prediction, Slide, best_wave, ideal, simulate
from benchmarks.cluster_model_slides import camelyon16, tupac16
from benchmarks.options import common_options
from benchmarks.ours import TILES_256
from benchmarks.pairs import Run, Spread, in_turn
from benchmarks.processes import run_whole
from benchmarks.report import say
from benchmarks.sessions import Session
from inference.predict import prediction_recipe
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe

_CAMELYON16: Final = Path(__file__).parent.parent / "conf" / "camelyon16.yaml"
_AT_20X: Final = ("tiling.scales=[{mpp: 0.5}]", "tiling.blocks_per_shard=8")
_RECIPES: Final = {"camelyon16": (_CAMELYON16, ()), "tupac16": (TILES_256, _AT_20X)}
_CORES: Final = (10, 100, 1000)
_WAVE: Final = 32
_BIG: Final = 6
_TINY: Final = 34
_WINDOWS_A_SECOND: Final = 398.0
"""Of one core, two towers at 80 px in bfloat16, from docs/performance.md: the model is not run here."""

_ASSEMBLE: Final = 9 / 9.8
"""Seconds of a heatmap for each million places, from docs/inference.md."""

_CHECKS: Final = {
    "1 core": ("local[1]", 1, Cluster(1)),
    "2 cores": ("local[2]", 2, Cluster(2)),
    "4 executors of one slot on 2 cores": ("local-cluster[4,1,1024]", 2, Cluster(4, slowdown=2.0)),
}


@click.command()
@common_options
@click.option("--rounds", default=3, show_default=True, help="Counted real runs of every kind.")
@click.option("--costs", "kept", type=click.Path(path_type=Path), help="File of measured costs; written if missing.")
def main(cache: Path, rounds: int, kept: Path | None) -> None:
    """Print the costs, the check, and the predictions."""
    costs = _costs(cache, kept or cache / "work" / "cluster_model_costs.json", is_kept=kept is not None)
    for name, found in costs.items():
        click.echo(f"costs on one core, {name} (seconds)")
        for what, seconds in asdict(found).items():
            say(what, f"{seconds:.2g}")
    _check(cache, costs["tupac16"], rounds)
    _predict(costs)


def _costs(cache: Path, file: Path, *, is_kept: bool) -> dict[str, Costs]:
    if not (is_kept and file.is_file()):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({name: measured_costs(cache, *_RECIPES[name]) for name in _RECIPES}))
    return {name: Costs(**values) for name, values in json.loads(file.read_text()).items()}


def measured_costs(cache: Path, conf: Path, settings: Sequence[str]) -> dict[str, float]:
    """What `cluster_model_costs` measures by a recipe, in a process of its own on one core."""
    log = cache / "work" / "cluster_model.log"
    run_whole([sys.executable, "-m", "benchmarks.cluster_model_costs", cache, conf, *settings], 1, log)
    return dict(json.loads(log.read_text(errors="replace").splitlines()[-1]))


def _check(cache: Path, costs: Costs, rounds: int) -> None:
    """Predicted and real seconds of the same job, start-up of the session taken off."""
    slides, recipe = Slides(cache), load_recipe(str(TILES_256), _AT_20X)
    files = [*slides.big(_BIG), *slides.tiny(_TINY)]
    settings: Mapping[str, object] = {"recipe": str(TILES_256), "set": list(_AT_20X)}
    runs: dict[str, list[Run]] = {}
    with ExitStack() as stack:
        sessions = {}
        for name, (master, cores, _) in _CHECKS.items():
            command = [sys.executable, "-m", "benchmarks.tiling_session", master]
            sessions[name] = stack.enter_context(Session(command, cores, cache / "work" / "check" / name))
            sessions[name].warm(files[-1:], **settings)
        runs = in_turn({name: partial(_run, one, files, settings) for name, one in sessions.items()}, rounds)
    tiles = runs["1 core"][0].tiles
    share = tiles * recipe.tiling.window**2 / (_BIG * (BIG // 2) ** 2)
    drawn = [Slide(BIG // 2, BIG // 2, share)] * _BIG + [Slide(256, 256, 0.0)] * _TINY  # in the order of their names
    click.echo(f"check: {_BIG} slides of {BIG} px and {_TINY} of 512 px, {tiles} tiles, waves of {_WAVE}")
    for name, (_, _, cluster) in _CHECKS.items():
        told = simulate(drawn, recipe, "one pass", costs, cluster, _WAVE)
        real, cpu = ([getattr(run, what) for run in runs[name]] for what in ("seconds", "cpu"))
        work = told.busy * cluster.slots / cluster.slowdown + told.driver
        say(f"{name}: predicted / measured (s)", f"{told.seconds:.2f} / {Spread.of(real)}")
        say(f"{name}: ratio", Spread.of([told.seconds / seconds for seconds in real]))
        say(f"{name}: ratio of the processor time", Spread.of([work / seconds for seconds in cpu]))


def _run(session: Session, files: Sequence[Path], settings: Mapping[str, object]) -> Run:
    return session.tile(files, **settings)


def _predict(costs: Mapping[str, Costs]) -> None:
    recipe, at_20x = load_recipe(str(_CAMELYON16)), load_recipe(str(TILES_256), _AT_20X)
    judging = prediction_recipe(recipe)
    drawn, judged = costs["camelyon16"], _inference(costs["camelyon16"])
    jobs: dict[str, tuple[list[Slide], Recipe, Kind, Costs]] = {
        "CAMELYON16, tile": (camelyon16(4, recipe.tiling.stride, 1000), recipe, "drawn", drawn),
        "CAMELYON16, infer": (camelyon16(4, judging.tiling.stride), judging, "infer", judged),
        "TUPAC16 at 20x, tile": (tupac16(), at_20x, "one pass", costs["tupac16"]),
        "TUPAC16 at 20x, infer": (tupac16(), at_20x, "infer", _inference(costs["tupac16"])),
    }
    for name, (slides, cut, kind, found) in jobs.items():
        alone = ideal(slides, cut, kind, found)
        click.echo(f"{name}: {len(slides)} slides, {alone / 3600:.2f} core hours")
        for cores in _CORES:
            cluster = Cluster(cores)
            usual = simulate(slides, cut, kind, found, cluster, _WAVE)
            wave, best = best_wave(slides, cut, kind, found, cluster)
            say(f"{cores} cores, waves of {_WAVE}", _told(usual, alone, cores))
            say(f"{cores} cores, waves of {wave} (best)", _told(best, alone, cores))


def _inference(costs: Costs) -> Costs:
    """Finding a window, judging it in place of writing it, and the heatmaps."""
    return replace(costs, window=costs.window + 1 / _WINDOWS_A_SECOND, patch=0.0, assemble=_ASSEMBLE)


def _told(found: Prediction, alone: float, cores: int) -> str:
    speed_up = alone / found.seconds
    parts = {"work": found.busy, "waiting": found.idle, "driver": found.driver}
    shares = ", ".join(f"{what} {seconds / found.seconds:.0%}" for what, seconds in parts.items())
    return (
        f"{found.seconds / 3600:.3f} h; {speed_up:,.0f} times one core, {speed_up / cores:.0%}; {shares}; "
        f"longest task {found.longest:.1f} s; tasks handed out in {found.dispatched:.0f} s"
    )


if __name__ == "__main__":
    main()
