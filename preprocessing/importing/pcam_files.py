"""PatchCamelyon as published (Veeling et al. 2018, arXiv 1806.03962): HDF5 files of pixels and labels for each split.

`camelyonpatch_level_2_split_{train,valid,test}_{x,y}.h5`, and `…_meta.csv`, which tells slide and place. Row n of one
is row n of the others.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cluster.errors import UsageError
from cluster.storage import Store
from preprocessing.errors import SlideOpenError
from preprocessing.readers.staged import staged

PREFIX: Final = "camelyonpatch_level_2_split_"
SPLITS: Final = {"train": "train", "valid": "validation", "test": "test"}
_META: Final = ("coord_y", "coord_x", "wsi")
_CENTER: Final = "center_tumor_patch"


def listed(folder: str, names: Collection[str]) -> tuple[pd.DataFrame, tuple[str, ...], str]:
    """What the lists of all splits say.

    Args:
        folder: URI.
        names: of the files there.

    Returns:
        Rows as `collection.Collection` has them, the files, and a note.

    Raises:
        UsageError: a file is missing, is still packed, is no HDF5 file, or the files of a split do not fit together.
    """
    parts, files, contradictions = [], [], 0
    for theirs, ours in SPLITS.items():
        x, y, meta = (f"{PREFIX}{theirs}_{part}" for part in ("x.h5", "y.h5", "meta.csv"))
        for name in (x, y, meta):
            _refuse_missing(folder, name, names)
        of_split = _split_rows(Store(folder), x, y, meta)
        contradictions += int(of_split.pop("contradicts").sum())
        parts.append(of_split.assign(split=ours, file=f"{folder}/{x}"))
        files += [f"{folder}/{name}" for name in (x, y, meta)]
    note = f"{contradictions} labels differ from {_CENTER} of the meta files; those of the HDF5 files count"
    return pd.concat(parts, ignore_index=True), tuple(files), note if contradictions else ""


def read_patches(file: str, places: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The pixels of some rows; what lies between them is read, too, as a file keeps many rows together.

    Args:
        file: URI of pixels.
        places: rows, rising.

    Returns:
        (n, side, side, 3) uint8 RGB.

    Raises:
        OSError: they cannot be read.
    """
    with _opened(file) as pixels:
        return np.asarray(pixels["x"][places[0] : places[-1] + 1])[places - places[0]]


def _split_rows(store: Store, x: str, y: str, meta: str) -> pd.DataFrame:
    with store.fs.open(store.path(meta), "rb") as file:
        told = pd.read_csv(file)
    missing = [column for column in _META if column not in told.columns]
    if missing:
        raise UsageError(f"{store.uri}/{meta} has no column {missing[0]}: fetch it anew")
    try:
        with _opened(f"{store.uri}/{x}") as pixels, _opened(f"{store.uri}/{y}") as labels:
            shape, label = pixels["x"].shape, np.asarray(labels["y"]).reshape(-1)
            kind = pixels["x"].dtype
    except (OSError, KeyError) as error:
        raise UsageError(
            f"{store.uri}: {x} or {y} is no HDF5 file of PatchCamelyon ({error}): fetch it anew"
        ) from error
    if len(shape) != 4 or shape[3] != 3 or kind != np.uint8:
        raise UsageError(f"{store.uri}/{x} holds {kind} {shape}, not RGB patches of 8 bits: fetch it anew")
    if not shape[0] == len(label) == len(told):
        raise UsageError(
            f"{store.uri}: {x} has {shape[0]} patches, {y} {len(label)} labels, {meta} {len(told)} lines: they are not "
            "of one download, fetch them anew"
        )
    if not np.isin(label, (0, 1)).all():
        raise UsageError(f"{store.uri}/{y} has labels other than 0 and 1: fetch it anew")
    rows = pd.DataFrame(
        {
            "slide_id": told["wsi"].astype(str),
            "x": told["coord_x"].astype("int32"),
            "y": told["coord_y"].astype("int32"),
            "label": label.astype("int32"),
            "place": np.arange(len(label)),
            "number": np.arange(len(label)),
        }
    )
    known = told[_CENTER].astype(bool).to_numpy() if _CENTER in told.columns else label.astype(bool)
    return rows.assign(contradicts=known != label.astype(bool))


@contextmanager
def _opened(file: str) -> Iterator[Any]:
    """HDF5 is read from a disk: a file of S3 or HDFS is copied to the machine's cache, once for all its processes."""
    try:
        with staged(file) as copy, h5py.File(copy.path, "r") as opened:
            yield opened
    except SlideOpenError as error:
        raise OSError(str(error)) from error


def _refuse_missing(folder: str, name: str, names: Collection[str]) -> None:
    if name in names:
        return
    packed = f"{name}.gz"
    if packed in names:
        raise UsageError(f"{folder}/{packed} is still packed, and cannot be read in parts: gunzip it")
    raise UsageError(f"{folder} has no {name}: fetch all nine files of PatchCamelyon")
