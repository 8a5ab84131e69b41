"""Running again over finished slides: what `tile`, `infer` and `refresh` take where nothing is new.

    python -m benchmarks.rerun [--slides 400] [--rounds 5]

Small drawn slides (512 px) are tiled and judged once and kept with their results; then each command runs over all of
them and over one of them in turn, as a whole process on two cores. What grows with the number of slides is the ratio
of the two. The model is untrained and tiny: nothing is computed here.
"""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from benchmarks.big_slides import Slides
from benchmarks.options import common_options
from benchmarks.pairs import Run, Spread, in_turn, measured
from benchmarks.processes import run_whole
from benchmarks.report import Bar, say
from preprocessing.recipe_file import load_recipe
from training.card import DataCard, ModelCard, model_id
from training.metrics import BinaryMetrics

RECIPE = Path(__file__).parent.parent / "conf" / "demo.yaml"
_CORES = 2
_MOST_SECONDS = 30
_COMMANDS = ("tile", "infer", "refresh")


@dataclass(frozen=True)
class Finished:
    """A folder of slides with all their results.

    Attributes:
        slides: the folder.
        model: the `.keras` file.
        out: holds `tiles` and the results of the model.
    """

    slides: Path
    model: Path
    out: Path

    def run(self, command: str) -> Run:
        """One whole run of a command."""
        out = self.out / "tiles" if command == "tile" else self.out
        line: list[str | Path] = [Path(sys.executable).with_name("histospark"), command, "--conf", RECIPE]
        line += ["--slides", self.slides, "--out", out, "--master", f"local[{_CORES}]"]
        if command != "tile":
            line += ["--model", self.model]
        return Run(run_whole(line, _CORES, self.out.with_suffix(".log")).seconds)


def finished_slides(cache: Path, count: int) -> Finished:
    """Small slides, tiled and judged; done where that is missing, which takes minutes for hundreds of them."""
    folder = cache / f"rerun-{count}"
    finished = Finished(
        Slides(cache).small(count, f"rerun-{count}/slides")[0].parent, tiny_model(cache), folder / "out"
    )
    finished.out.mkdir(exist_ok=True)
    for command in ("tile", "infer"):
        say(f"{command}: first run over {count}, as far as it was missing", f"{finished.run(command).seconds:.1f} s")
    return finished


def tiny_model(cache: Path) -> Path:
    """A model of two scales that weighs mean colors, with its card; made where it is missing."""
    path = cache / "tiny-model" / "model.keras"
    if path.with_suffix(".json").is_file():
        return path
    import keras  # noqa: PLC0415 - it takes seconds, and only the first run needs it

    recipe = load_recipe(str(RECIPE))
    window = recipe.tiling.window
    inputs = {
        f"scale_{k}": keras.Input((window, window, 3), name=f"scale_{k}") for k in range(len(recipe.tiling.scales))
    }
    means = [keras.layers.GlobalAveragePooling2D()(pixels) for pixels in inputs.values()]
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(keras.layers.Concatenate()(means)))
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    unknown = BinaryMetrics(0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1, 1)
    data = DataCard(patches="none", recipe_id=recipe.recipe_id, rows={}, slides={})
    metrics, now = {"validation": unknown}, datetime.now(UTC)
    card = ModelCard(model_id=model_id(path), recipe=recipe, data=data, versions={}, metrics=metrics, created_at=now)
    card.save(path)
    return path


@click.command()
@common_options
@click.option("--slides", "count", default=400, show_default=True, help="Finished slides.")
@click.option("--rounds", default=5, show_default=True, help="Counted runs of every way.")
def main(cache: Path, count: int, rounds: int) -> None:
    """Print seconds of a second run over many finished slides, and over one."""
    many, one = finished_slides(cache, count), finished_slides(cache, 1)
    ways = {
        f"{command} {name}": partial(place.run, command) for command in _COMMANDS for name, place in _named(many, one)
    }
    runs = in_turn(ways, rounds)
    click.echo(f"run again over {count} finished slides and over one, {_CORES} cores; median (lowest to highest)")
    for command in _COMMANDS:
        seconds = {
            name: [run.seconds for run in measured(runs, f"{command} {name}").runs] for name, _ in _named(many, one)
        }
        say(f"{command}: {count} slides, seconds", Spread.of(seconds["many"]))
        say(f"{command}: one slide, seconds", Spread.of(seconds["one"]))
        times = [a / b for a, b in zip(seconds["many"], seconds["one"], strict=True)]
        say(f"{command}: {count} slides / one", Spread.of(times))
        Bar(
            f"{command}: {_MOST_SECONDS} s / its seconds", Spread.of([_MOST_SECONDS / it for it in seconds["many"]]), 1
        ).tell()


def _named(many: Finished, one: Finished) -> tuple[tuple[str, Finished], tuple[str, Finished]]:
    return ("many", many), ("one", one)


if __name__ == "__main__":
    main()
