"""The patch table: its columns, its folders, and what the Parquet footer says.

`URI/patches/split=S/slide_id=I/label=L/*.parquet`; the partition columns stand in the path alone.
"""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.errors import UsageError
from cluster.storage import Store
from preprocessing.recipe import Recipe

SCHEMA_VERSION: Final = "1"
ROW_GROUP_SIZE: Final = 256  # rows; larger groups halve the rate at which petastorm streams
UNLABELED: Final = "__HIVE_DEFAULT_PARTITION__"  # how a null is spelled in the path (Hive, Spark)

FOOTER_VERSION: Final = b"histospark.schema_version"
FOOTER_RECIPE: Final = b"histospark.recipe"
FOOTER_RECIPE_ID: Final = b"histospark.recipe_id"


def image_columns(scales: int) -> list[str]:
    """Names of the image columns, scale 0 first."""
    return [f"image_{scale}" for scale in range(scales)]


def patch_schema(recipe: Recipe) -> pa.Schema:
    """Arrow schema of one shard, with the recipe in its footer.

    Args:
        recipe: the recipe that cuts the patches; its scales give the number of image columns.
    """
    fields = [
        pa.field("patch_id", pa.int64(), nullable=False),
        pa.field("x", pa.int32(), nullable=False),
        pa.field("y", pa.int32(), nullable=False),
        pa.field("center_fraction", pa.float32()),
        pa.field("tissue_fraction", pa.float32(), nullable=False),
        *(pa.field(name, pa.binary(), nullable=False) for name in image_columns(len(recipe.tiling.scales))),
        pa.field("recipe_id", pa.string(), nullable=False),
    ]
    footer = {
        FOOTER_VERSION: SCHEMA_VERSION.encode(),
        FOOTER_RECIPE: recipe.model_dump_json().encode(),
        FOOTER_RECIPE_ID: recipe.recipe_id.encode(),
    }
    return pa.schema(fields, metadata=footer)


def slide_folder(split: str, slide_id: str) -> str:
    """Folder of one slide below `URI/patches`."""
    return f"split={split}/slide_id={slide_id}"


def label_folder(label: int | None) -> str:
    """Folder of one class below the slide's folder."""
    return f"label={UNLABELED if label is None else label}"


def refuse_other_version(metadata: Mapping[bytes, bytes] | None, path: str) -> None:
    """Make sure that a shard has the layout that this version reads and writes.

    Args:
        metadata: of the Parquet footer's schema.
        path: of the shard, for the message.

    Raises:
        UsageError: another schema version, or no table of ours.
    """
    found = (metadata or {}).get(FOOTER_VERSION, b"none").decode(errors="replace")
    if found != SCHEMA_VERSION:
        raise UsageError(
            f"{path} has schema version {found}, this version of histospark works with {SCHEMA_VERSION}; "
            "tile the slides anew into another folder"
        )


def check_table_version(store: Store) -> None:
    """Look at one whole shard of an existing table before anything is added to it.

    Raises:
        UsageError: the table is of another schema version.
    """
    for path in store.files("patches"):
        try:
            with store.fs.open(path, "rb") as file:
                schema = pq.read_schema(file)
        except pa.ArrowInvalid:  # no Parquet file: left by a dead run, and cleared by this one
            continue
        refuse_other_version(schema.metadata, path)
        break
