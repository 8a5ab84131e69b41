"""What the stream adds to a training step: `fit` fed by it against `fit` fed by one batch that stays in memory.

    python -m benchmarks.step_time [--rounds 7] [--steps 30]

The model, its augmentation and its first stage are those of conf/camelyon16.yaml, from random weights. The start of a
pass is part of it: opening the reader and filling the shuffle buffer, spread over the few steps of a run instead of
over the thousands of an epoch.
"""

import time
from collections.abc import Callable
from pathlib import Path

import click
import keras
import tensorflow as tf

from benchmarks.options import common_options
from benchmarks.pairs import Run, Spread, in_turn, measured, ratio
from benchmarks.patch_table import RECIPE, SPLIT, real_patches, slides_option
from benchmarks.report import Bar, say
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from training.models import core_model, training_model
from training.stages import compile_stage
from training.stream import Shuffle, SplitStream

SLOWEST = 1.05
"""How many times as long a step may take."""


def compiled(recipe: Recipe, steps: int) -> keras.Model:
    """The training model at the start of the recipe's first stage."""
    training = recipe.training
    core = core_model(len(recipe.tiling.scales), recipe.tiling.window, training)
    model = training_model(core, recipe)
    compile_stage(model, core, training.stages[0], training, steps)
    return model


def in_memory(stream: SplitStream, steps: int) -> tf.data.Dataset:
    """One batch, again and again, with the options of the stream: tf.data's tuning takes a core now and then."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensors(next(iter(stream.dataset()))).repeat(steps).with_options(options)


def _fitted(model: keras.Model, pipeline: Callable[[], tf.data.Dataset], rows: int) -> Callable[[], Run]:
    def run() -> Run:
        started, cpu = time.perf_counter(), time.process_time()
        model.fit(pipeline(), verbose=0, shuffle=False)
        return Run(time.perf_counter() - started, rows, time.process_time() - cpu)

    return run


@click.command()
@common_options
@slides_option
@click.option("--rounds", default=7, show_default=True, help="Counted runs of every way.")
@click.option("--steps", default=30, show_default=True, help="Steps of a run.")
def main(cache: Path, slides: Path, rounds: int, steps: int) -> None:
    """Print steps per second and the ratio."""
    recipe = load_recipe(str(RECIPE), ["training.weights=none"])
    size = recipe.training.batch_size
    shuffle = Shuffle(recipe.seed, recipe.training.shuffle_rows)
    stream = SplitStream(real_patches(slides, cache), SPLIT, recipe.tiling.window, size, shuffle=shuffle)
    cached = in_memory(stream, steps)
    model = compiled(recipe, steps)
    ways = {"the stream": lambda: stream.dataset().take(steps), "one batch in memory": lambda: cached}
    runs = in_turn({name: _fitted(model, way, steps * size) for name, way in ways.items()}, rounds)
    click.echo(f"fit of conf/camelyon16.yaml, {steps} steps of {size} patches; median (lowest to highest)")
    for name in ways:
        rates = measured(runs, name).rate
        say(name, f"{Spread(rates.middle / size, rates.low / size, rates.high / size)} steps/s")
    ours, other = (measured(runs, name) for name in ways)
    cpu = Spread.of([a.cpu / b.cpu for a, b in zip(ours.runs, other.runs, strict=True)])
    say("CPU time of a step: stream / memory", cpu)
    Bar("steps/s: stream / memory", ratio(ours, other), round(1 / SLOWEST, 3)).tell()


if __name__ == "__main__":
    main()
