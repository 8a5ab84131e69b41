"""Which slides there are: a folder, a glob or a manifest becomes a list of slides with all that stands beside them."""

import hashlib
import json
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from cluster.errors import UsageError
from preprocessing.file_states import FileState, FileStates, absolute
from preprocessing.hashing import stable_hash
from preprocessing.manifest import MANIFEST_SUFFIXES, read_manifest
from preprocessing.slide_entry import SPLITS, SlideEntry
from preprocessing.slide_labels import with_meaning
from preprocessing.splits import assign_splits, matches
from preprocessing.tiling_settings import Sampling, Tiling

__all__ = ["FLAT_SUFFIXES", "SLIDE_SUFFIXES", "SPLITS", "SlideEntry", "inventory", "slide_paths", "slides_of"]

SLIDE_SUFFIXES: Final = frozenset(
    {".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".dcm", ".czi"}
)
FLAT_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg"})
_ANNOTATION_ENDINGS: Final = (".xml", ".geojson")
_POINT_ENDINGS: Final = (*_ANNOTATION_ENDINGS, ".csv")  # looked for where points are meant: any table ends so
_MASK_ENDINGS: Final = ("_mask.tif", "_mask.tiff", "_mask.png")


def inventory(source: str, tiling: Tiling, seed: int) -> list[SlideEntry]:
    """List the slides of a source.

    Each folder is listed once; files that a manifest names alone in their folder are asked for one by one. A file that
    a manifest names and that does not exist stays in the list, to fail by name when it is opened.
    Memory: about 1 kB a slide, on the driver, and as much again while it runs.

    Args:
        source: folder, glob, slide file, or manifest (`.csv`, `.parquet`), by URI.
        tiling: `splits`, `sampling` and `labels.normal_slides` complete what the source does not say.
        seed: of the draw of patients and of quotas.

    Returns:
        Entries sorted by slide_id.

    Raises:
        UsageError: nothing there, an ambiguous name, a wrong manifest, an unknown label, a patient in two splits.
    """
    files = FileStates()
    found = _listed(source, files, _POINT_ENDINGS if tiling.placement.kind == "points" else _ANNOTATION_ENDINGS)
    entries = [with_meaning(_complete(entry, tiling), tiling.labels, source) for entry in found]
    entries = assign_splits(entries, tiling.splits, seed)
    entries = with_quotas(entries, tiling.sampling, seed)
    states = files.states(path for entry in entries for path in _files_of(entry) if path)
    return [_fingerprinted(entry, states) for entry in entries]


def slides_of(source: str) -> list[SlideEntry]:
    """The slides of a source and what stands beside them, sorted by name; what they mean to a recipe is left open.

    Raises:
        UsageError: nothing there, an ambiguous name, a wrong manifest.
    """
    return _listed(source, FileStates(), _ANNOTATION_ENDINGS)


def _listed(source: str, files: FileStates, endings: Sequence[str]) -> list[SlideEntry]:
    """As `slides_of`, given the endings of annotations in a folder."""
    is_manifest = source.lower().endswith(MANIFEST_SUFFIXES)
    found = read_manifest(source) if is_manifest else _with_companions(_slide_paths(source, files), files, endings)
    if not found:
        known = ", ".join(sorted(SLIDE_SUFFIXES | FLAT_SUFFIXES))
        raise UsageError(f"no slides in {source}; known endings are {known}")
    refuse_ambiguous(found)
    return sorted(found, key=lambda entry: entry.slide_id)


def slide_paths(source: str) -> list[str]:
    """The slide files of a folder (not of folders in it) or a glob, or the one file named, sorted.

    Flat images (`FLAT_SUFFIXES`) count only in a folder, or among a folder's matches, without a slide of another
    ending: beside slides they mostly are thumbnails. Files named like a mask never count, unless named alone.

    Raises:
        UsageError: the source does not exist.
    """
    return _slide_paths(source, FileStates())


def _slide_paths(source: str, files: FileStates) -> list[str]:
    if files.is_folder(source):
        return _slides_among(files.folder(source))
    if files.states([absolute(source)]):
        return [absolute(source)]
    if any(sign in source for sign in "*?["):
        return _slides_among(files.glob(source))
    raise UsageError(f"slides {source} not found; give a folder, a glob, a slide or a manifest")


def _slides_among(paths: Iterable[str]) -> list[str]:
    slides, flat = defaultdict(list), defaultdict(list)
    for path in paths:
        folder, lower = posixpath.dirname(path), path.lower()
        ending = posixpath.splitext(lower)[1]
        if lower.endswith(_MASK_ENDINGS):
            continue
        if ending in SLIDE_SUFFIXES:
            slides[folder].append(path)
        elif ending in FLAT_SUFFIXES:
            flat[folder].append(path)
    return sorted(path for group in (flat | slides).values() for path in group)


def _with_companions(slides: Sequence[str], files: FileStates, of_annotations: Sequence[str]) -> list[SlideEntry]:
    masks = [path for path in slides if path.lower().endswith(_MASK_ENDINGS)]
    if masks:
        raise UsageError(f"{masks[0]} is a mask by its name; name the slide beside it, or rename it")
    stems = [posixpath.splitext(path)[0] for path in slides]
    endings = (*of_annotations, *_MASK_ENDINGS)
    beside = files.states(stem + ending for stem in stems for ending in endings)

    def companion(stem: str, endings: Iterable[str]) -> str | None:
        return next((stem + ending for ending in endings if stem + ending in beside), None)

    return [
        SlideEntry(posixpath.basename(stem), path, companion(stem, of_annotations), companion(stem, _MASK_ENDINGS))
        for stem, path in zip(stems, slides, strict=True)
    ]


def _complete(entry: SlideEntry, tiling: Tiling) -> SlideEntry:
    by_name = matches(entry.slide_id, tiling.labels.normal_slides)
    is_normal = entry.is_normal or (by_name and not entry.is_tumor)  # a manifest goes before a pattern
    return replace(entry, patient_id=entry.patient_id or entry.slide_id, is_normal=is_normal)


def with_quotas(entries: Sequence[SlideEntry], sampling: Sampling, seed: int) -> list[SlideEntry]:
    """Give every slide its quota of normals: its share of `max_normals_overall`, and `max_normals` at most.

    The shares are equal, what remains goes to the slides with the lowest hash. They are known before a pixel is read,
    so that a slide never depends on another's candidates; a slide with fewer candidates leaves its share unused.

    Args:
        entries: all slides of the inventory.
        sampling: the quotas.
        seed: of the draw of those that get one more.
    """
    if sampling.max_normals_overall is None:
        return [replace(entry, max_normals=sampling.max_normals) for entry in entries]
    share, rest = divmod(sampling.max_normals_overall, len(entries))
    by_hash = sorted((stable_hash("quota", seed, entry.slide_id), entry.slide_id) for entry in entries)
    one_more = {slide_id for _, slide_id in by_hash[:rest]}
    most = share + 1 if sampling.max_normals is None else sampling.max_normals
    return [replace(entry, max_normals=min(share + (entry.slide_id in one_more), most)) for entry in entries]


def refuse_ambiguous(entries: Sequence[SlideEntry]) -> None:
    """Make sure that every slide's name can be a folder, and is its own.

    Raises:
        UsageError: it cannot, or two have it.
    """
    for entry in entries:
        if not entry.slide_id or any(sign in entry.slide_id for sign in "/\\=%") or entry.slide_id[0] in "._":
            raise UsageError(f"slide_id '{entry.slide_id}' cannot name a folder; rename the slide {entry.path}")
    name, count = Counter(entry.slide_id for entry in entries).most_common(1)[0]
    if count > 1:
        paths = [entry.path for entry in entries if entry.slide_id == name]
        raise UsageError(f"{count} slides are called {name} ({paths[0]}, {paths[1]}); name them in a manifest")


def _fingerprinted(entry: SlideEntry, states: Mapping[str, FileState]) -> SlideEntry:
    """Content and meaning count, not the place: the same slide under another mount is the same slide."""
    known = {
        # a file that is missing becomes a failed slide when it is opened
        "files": [states.get(path, "missing") if path else None for path in _files_of(entry)],
        "meaning": [entry.patient_id, entry.split, entry.is_normal, entry.mpp, entry.stratum, entry.max_normals],
    }
    if entry.label is not None:  # left out else, so that tables of before know their slides again
        known["label"] = [entry.label]
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]
    size = max(0, states[entry.path][0]) if entry.path in states else 0
    return replace(entry, fingerprint=digest, file_bytes=size)


def _files_of(entry: SlideEntry) -> tuple[str | None, ...]:
    return entry.path, entry.annotation, entry.mask
