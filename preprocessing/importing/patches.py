"""The two steps of an import that run on workers: patches of a file read and encoded, patches of a slide written."""

import hashlib
import io
from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from cluster.storage import Store
from preprocessing.crops import encode
from preprocessing.errors import SlideReadError
from preprocessing.hashing import patch_ids, stable_hash
from preprocessing.importing.collection import ReadPatches, refuse_other_sizes
from preprocessing.patch_rows import row_groups
from preprocessing.recipe import Recipe
from preprocessing.schema import label_folder, patch_schema, slide_folder
from preprocessing.shard_file import write_shard

CHUNK: Final = 1024  # patches that a task reads: 28 MB of PatchCamelyon
SHARD: Final = 4096  # patches of a slide and class in one file, about

KEYS: Final = "split string, slide_id string, label int, shard int"
WRITTEN: Final = f"{KEYS}, patch_id long, x int, y int, pixels long, bytes long, error string"
"""Columns of what was written, in Spark's words: `pixels` is a hash of the decoded pixels, `bytes` the size of the
file, in its first row."""
READ: Final = f"{WRITTEN}, image binary"
KEY_NAMES, WRITTEN_NAMES, READ_NAMES = (
    [column.split()[0] for column in told.split(", ")] for told in (KEYS, WRITTEN, READ)
)


def with_shards(rows: pd.DataFrame) -> pd.DataFrame:
    """Deal the patches of each slide and class to files of about `SHARD`: column `shard`, by their number alone."""
    files = -(-rows.groupby(["slide_id", "label"])["number"].transform("size") // SHARD)
    return rows.assign(shard=(rows["number"] % files).astype("int32"))


def chunks(rows: pd.DataFrame) -> Iterator[bytes]:
    """The list of patches in its order, in parts that a task reads, as Parquet."""
    for start in range(0, len(rows), CHUNK):
        buffer = io.BytesIO()
        rows.iloc[start : start + CHUNK].to_parquet(buffer, index=False)
        yield buffer.getvalue()


def read_chunk(packed: bytes, read: ReadPatches, recipe: Recipe) -> pd.DataFrame:
    """Read and encode some patches.

    Args:
        packed: from `chunks`.
        read: gets the pixels.
        recipe: how they are stored.

    Returns:
        Columns `READ`; a patch that cannot be read has an error in place of an image. Memory: `CHUNK` patches decoded.
    """
    rows = pd.read_parquet(io.BytesIO(packed))
    parts = [_read(part, str(file), read, recipe) for (file, _), part in rows.groupby(["file", rows["place"] // CHUNK])]
    return pd.concat(parts, ignore_index=True)


def _read(rows: pd.DataFrame, file: str, read: ReadPatches, recipe: Recipe) -> pd.DataFrame:
    rows = rows.sort_values("place")
    named = rows.assign(patch_id=_ids(rows, recipe.recipe_id), pixels=0, bytes=0, error=None, image=None)
    try:
        patches = read(file, rows["place"].to_numpy())
        refuse_other_sizes(recipe.tiling.stored_window, patches.shape[1:3])
    except (OSError, SlideReadError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return named.assign(error=f"{file} cannot be read ({reason}); fetch it anew")[READ_NAMES]
    images = [encode(patch, recipe.tiling.image) for patch in patches]
    return named.assign(pixels=[hashed(patch) for patch in patches], image=images)[READ_NAMES]


def write_part(rows: pd.DataFrame, recipe: Recipe, staging: str) -> pd.DataFrame:
    """Write the patches of one file of the table, in the order of `patch_id`.

    Args:
        rows: columns `READ`, of one slide, label and shard.
        recipe: how they are stored.
        staging: URI; `split=S/slide_id=I/label=L/part-N.parquet` appears below it.

    Returns:
        Columns `WRITTEN` of all of them; where one has an error nothing is written.
    """
    rows = rows.sort_values("patch_id", ignore_index=True)
    if rows["error"].isna().all():
        split, slide_id, label, shard = rows[KEY_NAMES].iloc[0].tolist()
        unknown = np.full(len(rows), np.nan, np.float32)
        columns = {name: rows[name].to_numpy() for name in ("patch_id", "x", "y")}
        columns |= {"center_fraction": pa.nulls(len(rows), pa.float32()), "tissue_fraction": unknown}
        place = f"{slide_folder(split, slide_id)}/{label_folder(int(label))}/part-{shard:05d}.parquet"
        groups = row_groups(pa.table(columns), [rows["image"].tolist()], np.arange(len(rows)), recipe)
        rows.loc[0, "bytes"] = write_shard(groups, patch_schema(recipe), Store(staging), place)
    return rows[WRITTEN_NAMES]


def hashed(patch: NDArray[np.uint8]) -> int:
    """Equal pixels, equal number: 63 bits, which two of a million different patches share by a chance of 1e-7."""
    return stable_hash(hashlib.sha256(np.ascontiguousarray(patch).tobytes()).hexdigest())


def _ids(rows: pd.DataFrame, recipe_id: str) -> NDArray[np.int64]:
    """By the number of a patch, not its place on the slide: collections have some places twice."""
    numbers = np.stack([rows["number"].to_numpy(np.int32), np.zeros(len(rows), np.int32)], axis=1)
    ids = np.empty(len(rows), np.int64)
    for slide_id, of_slide in rows.groupby("slide_id").indices.items():
        ids[of_slide] = patch_ids(str(slide_id), recipe_id, numbers[of_slide])
    return ids
