"""The rows of one unit of work: an Arrow table, written as one Parquet shard a label."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cluster.storage import Store
from preprocessing.candidates import positives_of
from preprocessing.recipe import Recipe
from preprocessing.schema import image_columns, label_folder, patch_schema, slide_folder
from preprocessing.shard_file import write_shard
from preprocessing.slide_plan import SlidePlan


def write_unit(
    plan: SlidePlan, shard: int, chosen: pa.Table, images: Sequence[Sequence[bytes]], recipe: Recipe, staging: str
) -> int:
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
        How many of them are positive.
    """
    order = np.argsort(chosen["patch_id"].to_numpy(), kind="stable")
    folder = slide_folder(plan.entry.split, plan.entry.slide_id)
    for label in sorted(chosen["label"].unique().to_pylist(), key=lambda label: -1 if label is None else label):
        column = chosen["label"]
        of_label = (column.is_null() if label is None else pc.equal(column, label).fill_null(False)).to_numpy()
        places = order[of_label[order]]
        name = f"{folder}/{label_folder(label)}/part-{shard:05d}.parquet"
        picked = [[of_scale[place] for place in places] for of_scale in images]
        write_shard(_table(chosen.take(places), picked, recipe), Store(staging), name)
    return int(positives_of(chosen).sum())


def _table(rows: pa.Table, images: Sequence[Sequence[bytes]], recipe: Recipe) -> pa.Table:
    schema = patch_schema(recipe)
    columns = {name: rows[name] for name in rows.column_names if name in schema.names}
    columns |= {
        name: pa.array(data, pa.binary()) for name, data in zip(image_columns(len(images)), images, strict=True)
    }
    columns["recipe_id"] = pa.array([recipe.recipe_id] * len(rows), pa.string())
    return pa.Table.from_pydict(columns, schema)
