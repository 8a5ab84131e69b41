"""Patches per second that reach the trainer: our stream against tf.data over TFRecord files.

    python -m benchmarks.stream_speed [--rounds 7]

Real tissue, two images of 80 px per row, batches of 32, a shuffle buffer of 4096 rows on both sides; the same JPEG
bytes, decoded by the same operation. The peer is written as TensorFlow's guides do: files interleaved and shuffled,
rows parsed and decoded one by one by as many threads as tf.data likes, in whatever order is quickest. Ours keeps its
order and counts every row.
"""

import time
from collections.abc import Callable
from pathlib import Path

import click
import tensorflow as tf

from benchmarks.options import common_options
from benchmarks.pairs import Run, Spread, in_turn, measured, ratio
from benchmarks.patch_table import RECIPE, SPLIT, real_patches, records, slides_option
from benchmarks.report import Bar, say
from preprocessing.recipe_file import load_recipe
from training.stream import Shuffle, SplitStream

WINDOW = load_recipe(str(RECIPE)).tiling.window
BATCH, BUFFER = 32, 4096
Rows = dict[str, tf.Tensor]


def peer(files: list[str], images: tuple[str, ...], *, decode: bool) -> tf.data.Dataset:
    """tf.data over TFRecord.

    Args:
        files: TFRecord files.
        images: names of the images in a row.
        decode: or leave the images encoded.
    """
    features = {name: tf.io.FixedLenFeature([], tf.string) for name in images}
    features["label"] = tf.io.FixedLenFeature([], tf.int64)

    def parsed(record: tf.Tensor) -> tuple[Rows, tf.Tensor]:
        row = tf.io.parse_single_example(record, features)
        label = tf.cast(row.pop("label"), tf.float32)[tf.newaxis]
        return ({name: _pixels(row[name]) for name in images} if decode else row), label

    options = tf.data.Options()
    options.deterministic = False
    return (
        tf.data.Dataset.from_tensor_slices(files)
        .shuffle(len(files))
        .interleave(tf.data.TFRecordDataset, num_parallel_calls=tf.data.AUTOTUNE)
        .shuffle(BUFFER)
        .map(parsed, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(BATCH)
        .prefetch(tf.data.AUTOTUNE)
        .with_options(options)
    )


def _pixels(encoded: tf.Tensor) -> tf.Tensor:
    pixels = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    return tf.ensure_shape(pixels, (WINDOW, WINDOW, 3))


def _passed(pipeline: Callable[[], tf.data.Dataset], rows: int) -> Callable[[], Run]:
    """One pass over a new pipeline, as a run of so many rows."""

    def run() -> Run:
        started, cpu = time.perf_counter(), time.process_time()
        batches = sum(1 for _ in pipeline())
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        if batches != -(-rows // BATCH):
            raise click.ClickException(f"a pass over {rows} rows gave {batches} batches")
        return Run(seconds, rows, cpu)

    return run


@click.command()
@common_options
@slides_option
@click.option("--rounds", default=7, show_default=True, help="Counted runs of every way.")
def main(cache: Path, slides: Path, rounds: int) -> None:
    """Print patches per second and ratios."""
    table = real_patches(slides, cache)
    files, rows = records(table, cache), table.rows(SPLIT)
    stream = SplitStream(table, SPLIT, WINDOW, BATCH, shuffle=Shuffle(1, BUFFER))
    ways = {
        "stream": stream.dataset,
        "TFRecord": lambda: peer(files, table.images, decode=True),
        "stream, encoded": stream.encoded_dataset,
        "TFRecord, encoded": lambda: peer(files, table.images, decode=False),
    }
    runs = in_turn({name: _passed(way, rows) for name, way in ways.items()}, rounds)
    click.echo(f"{rows} patches at {len(table.images)} scales, batches of {BATCH}; median (lowest to highest)")
    for name in ways:
        way = measured(runs, name)
        say(name, f"{way.rate} patches/s; {way.per_cpu_second} per CPU second")
    for what in ("", ", encoded"):
        ours, theirs = measured(runs, f"stream{what}"), measured(runs, f"TFRecord{what}")
        least_cpu = Spread.of([b.cpu / a.cpu for a, b in zip(ours.runs, theirs.runs, strict=True)])
        say(f"per CPU second: stream{what} / TFRecord{what}", least_cpu)
        Bar(f"stream{what} / TFRecord{what}", ratio(ours, theirs), 1).tell()


if __name__ == "__main__":
    main()
