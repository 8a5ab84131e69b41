"""Our own packages as one zip, from which Python imports them on the nodes."""

import hashlib
import zipfile
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Final

from cluster.user_cache import cache_folder, made_once

DISTRIBUTION: Final = "histospark"
PACKAGES: Final = ("cluster", "conf", "histospark", "inference", "preprocessing", "training")
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)  # that a zip can tell


def code_archive() -> Path:
    """The zip of this code, made now or before: the same code gives the same bytes.

    Returns:
        `histospark-KEY.zip` in the user's cache, for `spark-submit --py-files`; data files and the version of the
        distribution are in it, too.
    """
    contents = _contents()
    key = hashlib.sha256()
    for name, data in contents.items():
        key.update(f"{name}\0{len(data)}\0".encode())
        key.update(data)
    return made_once(cache_folder("code") / f"histospark-{key.hexdigest()[:16]}.zip", partial(_zip, contents))


def _contents() -> dict[str, bytes]:
    """Name in the archive to bytes, in order; 3 MB."""
    found = {}
    for package in PACKAGES:
        for folder in map(Path, import_module(package).__path__):
            for file in folder.rglob("*"):
                if file.is_file() and "__pycache__" not in file.parts:
                    found[f"{package}/{file.relative_to(folder).as_posix()}"] = file.read_bytes()
    ours = version(DISTRIBUTION)
    metadata = f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {ours}\n"
    found[f"{DISTRIBUTION}-{ours}.dist-info/METADATA"] = metadata.encode()
    return dict(sorted(found.items()))


def _zip(contents: Mapping[str, bytes], target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name, _EARLIEST)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
