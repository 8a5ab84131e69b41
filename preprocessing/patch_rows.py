"""The rows of one unit of work: an Arrow table, written as one Parquet shard a label."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cluster.storage import Store
from preprocessing.candidates import positives_of
from preprocessing.recipe import Recipe
from preprocessing.schema import ROW_GROUP_SIZE, image_columns, label_folder, patch_schema, slide_folder
from preprocessing.shard_file import write_shard
from preprocessing.slide_plan import SlidePlan


def write_unit(
    plan: SlidePlan, shard: int, chosen: pa.Table, images: Sequence[Sequence[bytes]], recipe: Recipe, staging: str
) -> tuple[int, int]:
    """Write the patches of a unit, one file a label, rows in the order of `patch_id`.

    That is a hash, so that a row group is not one neighborhood within the unit.

    Args:
        plan: the slide.
        shard: number of the unit.
        chosen: n rows of `CANDIDATE_SCHEMA`.
        images: per scale, n encoded images.
        recipe: what was cut; goes into the footer.
        staging: URI; `split=S/slide_id=I/label=L/part-N.parquet` appear below it.

    Returns:
        How many of them are positive, and the bytes of the files.
    """
    order = np.argsort(chosen["patch_id"].to_numpy(), kind="stable")
    folder, size = slide_folder(plan.entry.split, plan.entry.slide_id), 0
    for label in sorted(chosen["label"].unique().to_pylist(), key=lambda label: -1 if label is None else label):
        column = chosen["label"]
        of_label = (column.is_null() if label is None else pc.equal(column, label).fill_null(False)).to_numpy()
        places = order[of_label[order]]
        name = f"{folder}/{label_folder(label)}/part-{shard:05d}.parquet"
        groups = row_groups(chosen, images, places, recipe)
        size += write_shard(groups, patch_schema(recipe), Store(staging), name)
    return int(positives_of(chosen).sum()), size


def row_groups(
    chosen: pa.Table, images: Sequence[Sequence[bytes]], places: NDArray[np.int64], recipe: Recipe
) -> Iterator[pa.Table]:
    """Some of the rows as row groups of a shard; the images of one group at a time are copied into Arrow.

    Args:
        chosen: n rows; columns of `patch_schema`, images and recipe aside, and others, which stay out.
        images: per scale, n encoded images.
        places: which rows, in their final order.
        recipe: what was cut; its id stands in every row.
    """
    schema = patch_schema(recipe)
    for start in range(0, len(places), ROW_GROUP_SIZE):
        mine = places[start : start + ROW_GROUP_SIZE]
        rows = chosen.take(mine)
        columns = {name: rows[name] for name in rows.column_names if name in schema.names}
        for name, of_scale in zip(image_columns(len(images)), images, strict=True):
            columns[name] = _binary_array([of_scale[place] for place in mine])
        columns["recipe_id"] = pa.array([recipe.recipe_id] * len(mine), pa.string())
        yield pa.Table.from_pydict(columns, schema)


def _binary_array(values: Sequence[bytes]) -> pa.Array:
    """As `pa.array` makes it, by one copy into memory of the right size: that grows its own, and is twice as slow."""
    ends = np.zeros(len(values) + 1, np.int32)
    np.cumsum([len(value) for value in values], out=ends[1:])
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.binary(), len(values), buffers)
