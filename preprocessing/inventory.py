"""Which slides there are: a folder, a glob or a manifest becomes a list of slides with all that stands beside them."""

import hashlib
import io
import json
import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Final

import pandas as pd

from cluster.errors import UsageError
from cluster.storage import Store
from preprocessing.hashing import stable_hash
from preprocessing.tiling_settings import Splits, Tiling

SLIDE_SUFFIXES: Final = frozenset(
    {".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".dcm", ".czi"}
)
SPLITS: Final = ("train", "validation", "test")
_MASK_ENDINGS: Final = ("_mask.tif", "_mask.tiff")
_NORMAL: Final = {"0": True, "normal": True, "negative": True, "1": False, "tumor": False, "positive": False}


@dataclass(frozen=True)
class SlideEntry:
    """One slide and what is known of it before it is opened.

    Attributes:
        slide_id: unique name.
        path: of the slide file.
        annotation: path of its polygons, if any.
        mask: path of its mask image, if any.
        patient_id: groups slides; splits never cut through one.
        split: train, validation or test.
        is_normal: known to hold no tumor.
        fingerprint: changes when any of its files, its split or its patient changes.
    """

    slide_id: str
    path: str
    annotation: str | None = None
    mask: str | None = None
    patient_id: str = ""
    split: str = ""
    is_normal: bool = False
    fingerprint: str = ""


def inventory(source: str, tiling: Tiling, seed: int) -> list[SlideEntry]:
    """List the slides of a source.

    Memory: about 1 kB a slide, on the driver.

    Args:
        source: folder, glob, slide file, or manifest (`.csv`, `.parquet`), by URI.
        tiling: `splits` and `labels.normal_slides` complete what the source does not say.
        seed: of the draw of validation patients.

    Returns:
        Entries sorted by slide_id.

    Raises:
        UsageError: nothing there, an ambiguous name, a wrong manifest, a patient in two splits.
    """
    is_manifest = source.lower().endswith((".csv", ".parquet"))
    found = _from_manifest(source) if is_manifest else _from_files(source)
    if not found:
        raise UsageError(f"no slides in {source}; known endings are {', '.join(sorted(SLIDE_SUFFIXES))}")
    _refuse_ambiguous(found)
    entries = sorted((_complete(entry, tiling, seed) for entry in found), key=lambda entry: entry.slide_id)
    _refuse_divided_patients(entries)
    return [_fingerprinted(entry) for entry in entries]


def slide_paths(source: str) -> list[str]:
    """The slide files of a folder (not of folders in it) or a glob, or the one file named.

    Raises:
        UsageError: the source does not exist.
    """
    store = Store(source)
    fs = store.fs
    if fs.isdir(store.root):
        paths = fs.ls(store.root, detail=False)
    elif fs.exists(store.root):
        return [store.root]
    elif any(sign in source for sign in "*?["):
        paths = fs.glob(store.root)
    else:
        raise UsageError(f"slides {source} not found; give a folder, a glob, a slide or a manifest")
    return sorted(str(path) for path in paths if _is_slide(str(path)))


def _from_files(source: str) -> list[SlideEntry]:
    slides = slide_paths(source)
    fs = Store(source).fs
    beside = {path for folder in {posixpath.dirname(path) for path in slides} for path in fs.ls(folder, detail=False)}
    return [_with_companions(path, beside) for path in slides]


def _is_slide(path: str) -> bool:
    lower = path.lower()
    return posixpath.splitext(lower)[1] in SLIDE_SUFFIXES and not lower.endswith(_MASK_ENDINGS)


def _with_companions(path: str, beside: set[str]) -> SlideEntry:
    stem = posixpath.splitext(path)[0]
    annotation = next((stem + ending for ending in (".xml", ".geojson") if stem + ending in beside), None)
    mask = next((stem + ending for ending in _MASK_ENDINGS if stem + ending in beside), None)
    return SlideEntry(posixpath.basename(stem), path, annotation, mask)


def _from_manifest(source: str) -> list[SlideEntry]:
    folder, _, name = source.rpartition("/")
    store = Store(folder or ".")
    try:
        data = io.BytesIO(store.read_bytes(name))
    except FileNotFoundError as error:
        raise UsageError(f"manifest {source} not found") from error
    try:
        table = pd.read_parquet(data) if name.endswith(".parquet") else pd.read_csv(data, dtype=str)
    except (ValueError, OSError) as error:
        raise UsageError(f"manifest {source} cannot be read: {error}") from error
    missing = [column for column in ("slide_id", "path") if column not in table.columns]
    if missing:
        raise UsageError(f"manifest {source} lacks the column {missing[0]}; it has {', '.join(table.columns)}")
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [_manifest_entry({str(key): value for key, value in row.items()}, store, source) for row in rows]


def _manifest_entry(row: Mapping[str, Any], store: Store, source: str) -> SlideEntry:
    slide_id, path = row["slide_id"], row["path"]
    if slide_id is None or path is None:
        raise UsageError(f"manifest {source}: a row has no slide_id or no path: {dict(row)}")
    split, label = row.get("split"), row.get("label")
    if split is not None and split not in SPLITS:
        raise UsageError(f"manifest {source}: slide {slide_id} is in split '{split}'; use {', '.join(SPLITS)}")
    if label is not None and str(label).lower() not in _NORMAL:
        raise UsageError(f"manifest {source}: slide {slide_id} has label '{label}'; use normal or tumor")
    return SlideEntry(
        slide_id=str(slide_id),
        path=_anchored(str(path), store),
        annotation=_anchored(str(row["annotation"]), store) if row.get("annotation") else None,
        mask=_anchored(str(row["mask"]), store) if row.get("mask") else None,
        patient_id=str(row.get("patient_id") or ""),
        split=split or "",
        is_normal=label is not None and _NORMAL[str(label).lower()],
    )


def _anchored(path: str, store: Store) -> str:
    """A relative path in a manifest starts at the manifest's folder."""
    return path if "://" in path or path.startswith("/") else store.path(path)


def _complete(entry: SlideEntry, tiling: Tiling, seed: int) -> SlideEntry:
    patient_id = entry.patient_id or entry.slide_id
    is_normal = entry.is_normal or _matches(entry.slide_id, tiling.labels.normal_slides)
    split = entry.split or _split_of(entry.slide_id, patient_id, tiling.splits, seed)
    return replace(entry, patient_id=patient_id, is_normal=is_normal, split=split)


def _split_of(slide_id: str, patient_id: str, splits: Splits, seed: int) -> str:
    if _matches(slide_id, splits.test):
        return "test"
    if _matches(slide_id, splits.validation):
        return "validation"
    drawn = stable_hash("split", seed, patient_id) / 2**63
    return "validation" if drawn < splits.validation_fraction else "train"


def _matches(slide_id: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(slide_id, pattern) for pattern in patterns)


def _refuse_ambiguous(entries: list[SlideEntry]) -> None:
    for entry in entries:
        if not entry.slide_id or any(sign in entry.slide_id for sign in "/\\=%") or entry.slide_id[0] in "._":
            raise UsageError(f"slide_id '{entry.slide_id}' cannot name a folder; rename the slide {entry.path}")
    name, count = Counter(entry.slide_id for entry in entries).most_common(1)[0]
    if count > 1:
        paths = [entry.path for entry in entries if entry.slide_id == name]
        raise UsageError(f"{count} slides are called {name} ({paths[0]}, {paths[1]}); name them in a manifest")


def _refuse_divided_patients(entries: list[SlideEntry]) -> None:
    split_of: dict[str, SlideEntry] = {}
    for entry in entries:
        other = split_of.setdefault(entry.patient_id, entry)
        if other.split != entry.split:
            raise UsageError(
                f"patient {entry.patient_id} is in two splits: {other.slide_id} in {other.split}, "
                f"{entry.slide_id} in {entry.split}; put both in one"
            )


def _fingerprinted(entry: SlideEntry) -> SlideEntry:
    """Content and meaning count, not the place: the same slide under another mount is the same slide."""
    known = {
        "files": [_file_state(path) if path else None for path in (entry.path, entry.annotation, entry.mask)],
        "meaning": [entry.patient_id, entry.split, entry.is_normal],
    }
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]
    return replace(entry, fingerprint=digest)


def _file_state(path: str) -> list[str]:
    store = Store(path)
    try:
        return [str(store.fs.info(store.root)["size"]), str(store.fs.modified(store.root))]
    except FileNotFoundError:  # becomes a failed slide when it is opened
        return ["missing"]
