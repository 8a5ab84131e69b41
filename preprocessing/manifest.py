"""Manifests: a CSV or Parquet table that names slides, and says what is known of each."""

import difflib
import io
import math
import posixpath
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from cluster.errors import UsageError
from cluster.storage import Store, split_name
from preprocessing.file_states import absolute
from preprocessing.slide_entry import SPLITS, SlideEntry

NEEDED: Final = ("slide_id", "path")
COLUMNS: Final = (*NEEDED, "annotation", "mask", "patient_id", "split", "label", "mpp", "stratum")
MANIFEST_SUFFIXES: Final = (".csv", ".parquet")
NORMAL_WORDS: Final = frozenset({"0", "normal", "negative"})
TUMOR_WORDS: Final = frozenset({"1", "tumor", "positive"})


def read_manifest(source: str) -> list[SlideEntry]:
    """Read the slides that a manifest names.

    Memory: about 2 kB a row while it is read.

    Args:
        source: URI of a `.csv` or `.parquet` file with the columns `slide_id` and `path`, and any other of `COLUMNS`.
            Further columns are ignored, unless one looks like a known column that is not there. Empty cells are
            unknown. Relative paths start at the manifest's folder.

    Returns:
        One entry a row, in the order of the rows, as far as the manifest says; what its label means to a recipe is for
        `slide_labels.with_meaning` to say.

    Raises:
        UsageError: no manifest there, a column or a value that makes no sense, a path that is named twice.
    """
    table = _table(source)
    _check_columns([str(column) for column in table.columns], source)
    table = table[[column for column in COLUMNS if column in table.columns]]
    cells = table.astype(object).where(table.notna(), None)
    folder = posixpath.dirname(absolute(source))
    names = [str(column) for column in cells.columns]
    entries = [
        _entry(dict(zip(names, row, strict=True)), folder, source) for row in cells.itertuples(index=False, name=None)
    ]
    _refuse_repeated(entries, source)
    return entries


def _table(source: str) -> pd.DataFrame:
    folder, name = split_name(source)
    try:
        data = io.BytesIO(Store(folder).read_bytes(name))
    except FileNotFoundError as error:
        raise UsageError(f"manifest {source} not found") from error
    try:
        return pd.read_parquet(data) if name.lower().endswith(".parquet") else pd.read_csv(data, dtype=str)
    except (ValueError, OSError) as error:
        raise UsageError(f"manifest {source} cannot be read: {' '.join(str(error).split())}") from error


def _check_columns(columns: list[str], source: str) -> None:
    absent = [column for column in COLUMNS if column not in columns]
    for column in columns:
        nearest = difflib.get_close_matches(column.strip().lower(), absent, n=1, cutoff=0.8)
        if column not in COLUMNS and nearest:
            raise UsageError(f"manifest {source}: unknown column '{column}'; did you mean {nearest[0]}?")
    missing = [column for column in NEEDED if column in absent]
    if missing:
        raise UsageError(f"manifest {source} lacks the column {missing[0]}; it has {', '.join(columns)}")


def _entry(row: Mapping[str, Any], folder: str, source: str) -> SlideEntry:
    slide_id, path = row["slide_id"], row["path"]
    if slide_id is None or path is None:
        raise UsageError(f"manifest {source}: a row has no slide_id or no path: {dict(row)}")
    where = f"manifest {source}: slide {slide_id}"
    split, word, stratum = row.get("split"), _word(row.get("label")), row.get("stratum")
    if split is not None and split not in SPLITS:
        raise UsageError(f"{where} is in split '{split}'; use {', '.join(SPLITS)}")
    return SlideEntry(
        slide_id=str(slide_id),
        path=_anchored(str(path), folder),
        annotation=_anchored(str(row["annotation"]), folder) if row.get("annotation") else None,
        mask=_anchored(str(row["mask"]), folder) if row.get("mask") else None,
        patient_id="" if row.get("patient_id") is None else str(row["patient_id"]),
        split=split or "",
        is_normal=word is not None and word.lower() in NORMAL_WORDS,
        is_tumor=word is not None and word.lower() in TUMOR_WORDS,
        mpp=_mpp(row.get("mpp"), where),
        stratum=None if stratum is None else str(stratum),
        word=word,
    )


def _word(label: object) -> str | None:
    """A label as it is written; of whole numbers that a column with gaps turned into floats, the number."""
    if label is None:
        return None
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _mpp(value: object, where: str) -> float | None:
    if value is None:
        return None
    try:
        mpp = float(str(value))
    except ValueError:
        mpp = math.nan
    if not (math.isfinite(mpp) and mpp > 0):
        raise UsageError(f"{where} has mpp '{value}'; give micrometers per level-0 pixel, e.g. 0.25")
    return mpp


def _anchored(path: str, folder: str) -> str:
    return absolute(path if "://" in path or path.startswith("/") else f"{folder}/{path}")


def _refuse_repeated(entries: list[SlideEntry], source: str) -> None:
    """A name is one slide's; a file is one slide, or the annotation or mask of slides, never two of these."""
    path_of: dict[str, str] = {}
    named: dict[str, str] = {}
    for entry in entries:
        if entry.slide_id in path_of:
            paths = f"{path_of[entry.slide_id]}, {entry.path}"
            raise UsageError(
                f"manifest {source} names the slide {entry.slide_id} twice ({paths}); keep one or rename it"
            )
        path_of[entry.slide_id] = entry.path
        other = named.setdefault(entry.path, entry.slide_id)
        if other != entry.slide_id:
            raise UsageError(f"manifest {source}: {other} and {entry.slide_id} are one file, {entry.path}; keep one")
    for entry in entries:
        for companion in (entry.annotation, entry.mask):
            if companion in named:
                raise UsageError(
                    f"manifest {source}: {companion} is the slide {named[companion]} and stands beside "
                    f"{entry.slide_id} as its annotation or mask; it can only be one of them"
                )
