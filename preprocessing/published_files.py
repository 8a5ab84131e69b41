"""Which slides of a table are whole, and which files are theirs.

Where a store renames, a slide's folder appears and disappears in one step, and what is there is whole. Elsewhere (S3)
its files come and go one by one, and a slide is whole as long as it has a manifest, `NAME/_manifest/FOLDER.json`: the
names and sizes of its files. The manifest is written last and removed first. Other readers (DuckDB, pandas, Spark)
know of no manifest: while a job publishes or replaces a slide there, they see a part of it. A table without any was
copied there from elsewhere, and is taken as it is.
"""

import json
import posixpath
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from cluster.errors import UsageError
from cluster.storage import Store

MANIFESTS: Final = "_manifest"
"""Folder below a table, hidden from its readers."""

_BEGUN: Final = "begun.json"
_SUFFIX: Final = ".json"
_READERS: Final = 16  # threads; the files are small and far away


def published_folders(store: Store, table: str) -> list[str]:
    """Folders of all slides that are whole: `slide_id=I` or `split=S/slide_id=I`, below the table.

    Args:
        store: the output folder.
        table: name of the table.
    """
    place, ending = (f"{table}/{MANIFESTS}", _SUFFIX) if _has_manifests(store, table) else (table, "")
    tops = store.names(place)
    found = [top for top in tops if top.startswith("slide_id=")]
    for split in (top for top in tops if top.startswith("split=")):
        found += [f"{split}/{name}" for name in store.names(place, split) if name.startswith("slide_id=")]
    return [name.removesuffix(ending) for name in found if name.endswith(ending)]


def is_published(store: Store, table: str, folder: str) -> bool:
    """Whether a slide is in a table, and whole."""
    return store.exists(_manifest(table, folder) if _has_manifests(store, table) else f"{table}/{folder}")


def published_files(store: Store, table: str) -> list[str]:
    """The files of all slides that are whole, as paths within the file system, sorted; those of a hidden name are none.

    Args:
        store: the output folder.
        table: name of the table.

    Returns:
        Memory: about 200 bytes a file, and on stores with manifests as much again.

    Raises:
        UsageError: a slide lacks a file of its manifest, or has it in another size.
    """
    root = store.path(table)
    if not _has_manifests(store, table):
        return sorted(path for path in store.files(table) if not _is_hidden(path[len(root) :]))
    with ThreadPoolExecutor(_READERS) as pool:
        manifests = pool.map(lambda folder: (folder, _read(store, table, folder)), published_folders(store, table))
        promised = {f"{root}/{folder}/{name}": size for folder, sizes in manifests for name, size in sizes.items()}
    found = _sizes(store, root) if promised else {}
    for path, size in promised.items():
        if found.get(path) != size:
            raise UsageError(
                f"{path} of {store.uri} is {'gone' if path not in found else 'of another size'} than its manifest says:"
                " a file was lost, or a job is at work; run that job again, or wait until it is done"
            )
    return sorted(promised)


def begin_manifests(store: Store, table: str) -> None:
    """Have a manifest for every slide from here on, where the store needs it; what was copied there gets one, too.

    For the one job that owns the output.
    """
    if store.renames or _has_manifests(store, table):
        return
    for folder in published_folders(store, table):
        write_manifest(store, table, folder, staged_sizes(store, f"{table}/{folder}"))
    store.write_bytes(b"{}", table, MANIFESTS, _BEGUN)


def staged_sizes(store: Store, folder: str) -> dict[str, int]:
    """Bytes of the files of a finished slide by their names, for `write_manifest`."""
    root = store.path(folder)
    return {path.removeprefix(f"{root}/"): size for path, size in _sizes(store, root).items()}


def write_manifest(store: Store, table: str, folder: str, sizes: Mapping[str, int]) -> None:
    """Say that a slide is whole: all its files are in their places."""
    store.write_bytes(json.dumps({"files": sizes}, indent=1, sort_keys=True).encode(), _manifest(table, folder))


def remove_manifest(store: Store, table: str, folder: str) -> None:
    """Say that a slide is not whole any more."""
    store.remove(_manifest(table, folder))


def _has_manifests(store: Store, table: str) -> bool:
    return not store.renames and bool(store.names(table, MANIFESTS))


def _read(store: Store, table: str, folder: str) -> dict[str, int]:
    name = _manifest(table, folder)
    try:
        return {str(file): int(size) for file, size in json.loads(store.read_bytes(name))["files"].items()}
    except FileNotFoundError:
        return {}  # taken out since it was listed
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{name} of {store.uri} is damaged; remove it and run the job again") from error


def _sizes(store: Store, root: str) -> dict[str, int]:
    return {str(path): int(facts["size"]) for path, facts in store.fs.find(root, detail=True).items()}


def _manifest(table: str, folder: str) -> str:
    return posixpath.join(table, MANIFESTS, folder + _SUFFIX)


def _is_hidden(path: str) -> bool:
    return any(part.startswith(("_", ".")) for part in path.split("/"))
