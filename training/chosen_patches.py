"""Single patches of a split by their number, without reading the others.

The number of a row is its place among the labeled rows of the split, file by file: the order of
`evaluation.split_predictions`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf
from numpy.typing import NDArray

from training.table import PatchFile, PatchTable


@dataclass(frozen=True)
class StoredPatch:
    """One row of the patch table.

    Attributes:
        row: its number in the split.
        patch_id, slide_id, label: which patch.
        x, y: level-0 pixel of the top-left corner of the scale-0 window.
        encoded: the image of each scale, JPEG or PNG.
    """

    row: int
    patch_id: int
    slide_id: str
    label: int
    x: int
    y: int
    encoded: tuple[bytes, ...]

    def decoded(self, window: int) -> tuple[NDArray[np.uint8], ...]:
        """The (window, window, 3) pixels in the middle of each scale, decoded as the stream does."""
        return tuple(middle(_pixels(image), window) for image in self.encoded)


def middle(images: Any, window: int) -> Any:
    """Cut the margin off, which is stored for training alone.

    Args:
        images: (…, side, side, 3), a side of at least `window`.
        window: side of what is left, pixels.
    """
    margin = (images.shape[-2] - window) // 2
    return images[..., margin : margin + window, margin : margin + window, :]


def patch_ids(table: PatchTable, split: str) -> NDArray[np.int64]:
    """(n,) ids of the labeled rows of a split, in the order of their numbers; only that column is read."""
    columns = [_read(table, file, ["patch_id"]) for file in table.labeled(split)]
    return np.concatenate([np.zeros(0, np.int64), *columns])


def stored_patches(table: PatchTable, split: str, rows: Sequence[int] | NDArray[np.int64]) -> Iterator[StoredPatch]:
    """Read some rows.

    Args:
        table: where from.
        split: its name.
        rows: their numbers; any order, each once.

    Yields:
        The patches in the order of their numbers. Memory: one row group of 256 rows.
    """
    wanted = np.sort(np.asarray(rows, np.int64))
    names = ["patch_id", "x", "y", *table.images]
    start = 0
    for file in table.labeled(split):
        groups = start + np.concatenate([[0], np.cumsum(file.row_groups)])
        start = int(groups[-1])
        if not _between(wanted, int(groups[0]), start).size:
            continue
        with table.filesystem.open(file.path, "rb") as opened:
            parquet = pq.ParquetFile(opened)
            for group, (first, end) in enumerate(pairwise(groups)):
                mine = _between(wanted, int(first), int(end))
                if mine.size:
                    found = parquet.read_row_group(group, columns=names).take(mine - first).to_pylist()
                    yield from (_stored(int(row), it, file, table) for row, it in zip(mine, found, strict=True))


def _stored(row: int, values: dict[str, object], file: PatchFile, table: PatchTable) -> StoredPatch:
    known = {name: values[name] for name in ("patch_id", "x", "y")}
    encoded = tuple(values[name] for name in table.images)
    place = {"slide_id": file.partition.slide_id, "label": file.partition.label}
    return StoredPatch(row=row, encoded=encoded, **known, **place)  # type: ignore[arg-type]


def _between(wanted: NDArray[np.int64], first: int, end: int) -> NDArray[np.int64]:
    return wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, end)]


def _read(table: PatchTable, file: PatchFile, columns: list[str]) -> NDArray[np.int64]:
    with table.filesystem.open(file.path, "rb") as opened:
        return np.asarray(pq.ParquetFile(opened).read(columns)[columns[0]])


def _pixels(encoded: bytes) -> NDArray[np.uint8]:
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE").numpy()
