"""Candidate positions of a slide: as arrays where they are found, as a table where they are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cluster.storage import Store
from preprocessing.grid import to_level_0
from preprocessing.hashing import patch_ids
from preprocessing.shard_file import write_shard

CANDIDATES: Final = "candidates"
"""Folder below staging."""

CANDIDATE_SCHEMA: Final = pa.schema(
    [
        pa.field("patch_id", pa.int64(), nullable=False),
        pa.field("x", pa.int32(), nullable=False),
        pa.field("y", pa.int32(), nullable=False),
        pa.field("column", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("label", pa.int32()),
        pa.field("center_fraction", pa.float32()),
        pa.field("tissue_fraction", pa.float32(), nullable=False),
        pa.field("certain", pa.bool_(), nullable=False),
    ]
)
"""`x`, `y` are level-0 pixels, `column`, `row` scale-0 pixels; `label` and `center_fraction` are null where unknown;
`certain` ones are taken whatever is drawn."""


@dataclass(frozen=True)
class Candidates:
    """Positions worth a patch.

    Attributes:
        origins: (n, 2) int32, top-left of the scale-0 window, scale-0 pixels.
        tissue_fraction: (n,) float32, share of the window.
        label: (n,) int32; None where nothing is known.
        center_fraction: (n,) float32, annotated share of the center; None where nothing is known.
        certain: (n,) bool, taken whatever is drawn: what is marked.
    """

    origins: NDArray[np.int32]
    tissue_fraction: NDArray[np.float32]
    label: NDArray[np.int32] | None
    center_fraction: NDArray[np.float32] | None
    certain: NDArray[np.bool_]


def joined(parts: Sequence[Candidates]) -> Candidates:
    """The candidates of some blocks of one slide together, in their order; at least one part."""
    labels = [part.label for part in parts if part.label is not None]
    shares = [part.center_fraction for part in parts if part.center_fraction is not None]
    return Candidates(
        np.concatenate([part.origins for part in parts]),
        np.concatenate([part.tissue_fraction for part in parts]),
        np.concatenate(labels) if labels else None,
        np.concatenate(shares) if shares else None,
        np.concatenate([part.certain for part in parts]),
    )


def candidate_table(found: Candidates, slide_id: str, downsample: float, recipe_id: str) -> pa.Table:
    """Candidates as a table of `CANDIDATE_SCHEMA`, in their order.

    Args:
        found: of one slide.
        slide_id: of it.
        downsample: level-0 pixels per scale-0 pixel.
        recipe_id: of the recipe.
    """
    xy = to_level_0(found.origins, downsample)
    count = len(xy)
    columns = (
        patch_ids(slide_id, recipe_id, xy),
        np.ascontiguousarray(xy[:, 0]),
        np.ascontiguousarray(xy[:, 1]),
        np.ascontiguousarray(found.origins[:, 0]),
        np.ascontiguousarray(found.origins[:, 1]),
        pa.nulls(count, pa.int32()) if found.label is None else found.label,
        pa.nulls(count, pa.float32()) if found.center_fraction is None else found.center_fraction,
        found.tissue_fraction,
        found.certain,
    )
    arrays = [pa.array(column, field.type) for column, field in zip(columns, CANDIDATE_SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=CANDIDATE_SCHEMA)


def positives_of(table: pa.Table) -> NDArray[np.bool_]:
    """Which rows have a label above 0: (n,) bool."""
    return np.asarray(table["label"].fill_null(0).to_numpy() > 0)


def certain_of(table: pa.Table) -> NDArray[np.bool_]:
    """Which rows are taken whatever is drawn: (n,) bool."""
    return np.asarray(table["certain"].to_numpy())


def keep_candidates(table: pa.Table, staging: str, slide_id: str, shard: int) -> None:
    """Write the candidates of a unit where the workers that draw and extract find them.

    Args:
        table: of `CANDIDATE_SCHEMA`.
        staging: URI of the staging folder of the run.
        slide_id, shard: the unit.

    Raises:
        OutputFullError: no space left.
        OutputError: the output cannot be written for another reason.
    """
    write_shard([table], table.schema, Store(staging), _name(slide_id, shard))


def kept_candidates(staging: str, slide_id: str, shard: int, columns: Sequence[str] | None = None) -> pa.Table:
    """What `keep_candidates` wrote; of all columns, or of some."""
    store = Store(staging)
    with store.fs.open(store.path(_name(slide_id, shard)), "rb") as file:
        return pq.ParquetFile(file).read(None if columns is None else list(columns))


def _name(slide_id: str, shard: int) -> str:
    return f"{CANDIDATES}/{slide_id}/{shard:05d}.parquet"
