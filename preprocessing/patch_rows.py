"""The rows of one unit of work: an Arrow table, written as one Parquet shard a label."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from cluster.storage import Store
from preprocessing.recipe import Recipe
from preprocessing.schema import image_columns, label_folder, patch_schema, slide_folder
from preprocessing.shard_file import write_shard
from preprocessing.slide_plan import SlidePlan


def write_unit(
    plan: SlidePlan, shard: int, rows: pd.DataFrame, images: Sequence[Sequence[bytes]], recipe: Recipe, staging: str
) -> None:
    """Write the patches of a unit, one file a label, rows in the order of `patch_id`.

    That is a hash, so that a row group is not one neighborhood within the unit.

    Args:
        plan: the slide.
        shard: number of the unit.
        rows: as `survey.candidate_rows` makes them, n of them.
        images: per scale, n encoded images.
        recipe: what was cut; goes into the footer.
        staging: URI; `split=S/slide_id=I/label=L/part-N.parquet` appear below it.
    """
    order = np.argsort(rows["patch_id"].to_numpy(), kind="stable")
    folder = slide_folder(plan.entry.split, plan.entry.slide_id)
    labels = rows["label"]
    for label in [None, *sorted(labels.dropna().unique())]:
        of_label = (labels.isna() if label is None else labels == label).fillna(False).to_numpy(bool)
        chosen = order[of_label[order]]
        if len(chosen):
            name = f"{folder}/{label_folder(None if label is None else int(label))}/part-{shard:05d}.parquet"
            picked = [[of_scale[place] for place in chosen] for of_scale in images]
            write_shard(_table(rows.iloc[chosen], picked, recipe), Store(staging), name)


def _table(rows: pd.DataFrame, images: Sequence[Sequence[bytes]], recipe: Recipe) -> pa.Table:
    schema = patch_schema(recipe)
    columns = {
        name: pa.array(rows[name], schema.field(name).type, from_pandas=True) for name in rows if name in schema.names
    }
    columns |= {
        name: pa.array(data, pa.binary()) for name, data in zip(image_columns(len(images)), images, strict=True)
    }
    columns["recipe_id"] = pa.array([recipe.recipe_id] * len(rows), pa.string())
    return pa.Table.from_pydict(columns, schema)
