"""Resident memory of a process that passes over a patch table again and again.

    python -m benchmarks.stream_memory [--epochs 20]

Each way in a process of its own: passes over every row, drawn passes, and passes that are left half-way, as by a
training that breaks off.
"""

import gc
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import click

from benchmarks.options import common_options
from benchmarks.patch_table import RECIPE, SPLIT, real_patches, slides_option
from benchmarks.report import say
from preprocessing.recipe_file import load_recipe
from preprocessing.training_settings import ClassThenSlide, EveryRow
from training.stream import Shuffle, SplitStream
from training.table import open_table

BATCH, BUFFER = 32, 4096
SETTLED = 2
"""Passes after which TensorFlow and the allocator have what they need."""
ALLOWED_MB = 20


def resident() -> float:
    """Resident memory of this process, MB."""
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


def whole_pass(stream: SplitStream) -> None:
    """All batches, decoded."""
    for _ in stream.dataset():
        pass


def half_pass(stream: SplitStream) -> None:
    """Half of the batches, decoded."""
    for _ in islice(stream.dataset(), stream.steps // 2):
        pass


WAYS: dict[str, tuple[EveryRow | ClassThenSlide, Callable[[SplitStream], None]]] = {
    "every row": (EveryRow(), whole_pass),
    "class, then slide": (ClassThenSlide(), whole_pass),
    "every row, left half-way": (EveryRow(), half_pass),
}


def watch(way: str, uri: str, epochs: int) -> None:
    """Make the passes in this process and print their figures."""
    sampling, one_pass = WAYS[way]
    window = load_recipe(str(RECIPE)).tiling.window
    stream = SplitStream(open_table(uri), SPLIT, window, BATCH, shuffle=Shuffle(1, BUFFER), sampling=sampling)
    seen = [resident()]
    for epoch in range(epochs):
        stream.epoch = epoch
        one_pass(stream)
        seen.append(resident())
    growth = seen[-1] - seen[SETTLED]
    say(
        way,
        f"start {seen[0]:.0f} MB, after pass {SETTLED} {seen[SETTLED]:.0f}, after pass {epochs} {seen[-1]:.0f}: "
        f"{growth:+.0f}, bar: flat (at most {ALLOWED_MB:+d}): {'met' if growth <= ALLOWED_MB else 'NOT MET'}",
    )


@click.command()
@common_options
@slides_option
@click.option("--epochs", default=20, show_default=True, help="Passes of each way.")
@click.option("--way", type=click.Choice(list(WAYS)), help="Only this one, in this process.")
def main(cache: Path, slides: Path, epochs: int, way: str | None) -> None:
    """Print resident memory at the start, when settled, and at the end."""
    table = real_patches(slides, cache)
    if way:
        watch(way, table.uri, epochs)
        return
    click.echo(f"resident memory over {epochs} passes of {table.rows(SPLIT)} patches, decoded")
    for name in WAYS:
        command = [sys.executable, "-m", "benchmarks.stream_memory", "--way", name, "--epochs", str(epochs)]
        command += ["--cache", str(cache), "--slides", str(slides)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise click.ClickException(f"{name}: {done.stderr.strip().splitlines()[-1]}")
        click.echo(done.stdout, nl=False)


if __name__ == "__main__":
    main()
