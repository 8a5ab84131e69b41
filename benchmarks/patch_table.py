"""A patch table of real tissue, and the same rows as TFRecord files, both made once and kept in a folder.

The recipe is conf/camelyon16.yaml with a stride so small that six small slides give more than 20,000 patches.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pyarrow.parquet as pq
import tensorflow as tf

from benchmarks import ours
from training.table import PatchFile, PatchTable, open_table

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "conf" / "camelyon16.yaml"
SPLIT = "train"
_MOSAICS = ROOT.parent / "shared" / "data" / "mosaic"
_SETTINGS = (
    "tiling.stride=11",
    "tiling.sampling.from_slides_without_tumor=8000",
    "tiling.splits.validation_fraction=0",
)


def slides_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--slides`."""
    return click.option(
        "--slides",
        type=click.Path(path_type=Path),
        default=_MOSAICS,
        help="Folder of slides, with their annotations, that the patches are cut from.",
    )(command)


def real_patches(slides: Path, cache: Path) -> PatchTable:
    """The table; cut where it is missing.

    Args:
        slides: folder of slides.
        cache: folder that keeps it, for these slides.

    Raises:
        ClickException: there are no slides.
    """
    kept = cache / f"patches_{slides.name}"
    if not kept.is_dir():
        files = [path for path in sorted(slides.glob("*")) if path.suffix in (".tif", ".xml", ".svs")]
        if not files:
            raise click.ClickException(f"there are no slides in {slides}: give a folder of slides by --slides")
        work = cache / "work" / "patches"
        work.parent.mkdir(parents=True, exist_ok=True)
        ours.tile(files, RECIPE, work, cores=2, settings=_SETTINGS)
        (work / "out").rename(kept)
        shutil.rmtree(work)
    return open_table(str(kept))


def records(table: PatchTable, cache: Path) -> list[str]:
    """The rows of the split as TFRecord, a file for each Parquet file, with the same bytes; written where missing."""
    kept = cache / f"records_{Path(table.uri).name}"
    if not kept.is_dir():
        partial = kept.with_name(".partial_records")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for number, file in enumerate(table.labeled(SPLIT)):
            _write(file, table.images, partial / f"{number:04d}.tfrecord")
        partial.rename(kept)
    return sorted(map(str, kept.glob("*.tfrecord")))


def _write(file: PatchFile, images: tuple[str, ...], target: Path) -> None:
    label = tf.train.Feature(int64_list=tf.train.Int64List(value=[file.partition.label]))
    with tf.io.TFRecordWriter(str(target)) as writer:
        for row in pq.read_table(file.path, columns=list(images), partitioning=None).to_pylist():
            features = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[row[name]])) for name in images}
            example = tf.train.Example(features=tf.train.Features(feature={**features, "label": label}))
            writer.write(example.SerializeToString())
