"""The files of a slide on this machine: where it lies, or copied from HDFS or S3 with all that its format keeps beside.

A MIRAX slide (`.mrxs`) has a folder of its name, Hamamatsu's `.vms` and `.vmu` name the files beside them, and a DICOM
slide is all `.dcm` files of its folder, which therefore should hold one slide.
"""

import posixpath
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from cluster.local_copies import CopyError, LocalCopy, in_folder, local_copy, remote_state
from cluster.storage import Store
from preprocessing.errors import SlideOpenError
from preprocessing.hashing import stable_hash

FileState = tuple[int, ...]


def is_elsewhere(path: str) -> bool:
    """Whether a file lies on no disk of this machine."""
    return path.partition("://")[1] != "" and not path.startswith("file://")


def staged(path: str) -> LocalCopy:
    """Have a slide, a mask or an image on this machine.

    Args:
        path: plain, `file://`, or of any store.

    Returns:
        Where it is, to be closed when it is no longer read.

    Raises:
        SlideOpenError: it lies elsewhere and cannot be copied.
    """
    if not is_elsewhere(path):
        return LocalCopy(local_path(path))
    try:
        return local_copy(path, files_beside)
    except CopyError as error:
        raise SlideOpenError(str(error)) from error


def state_elsewhere(path: str) -> FileState | None:
    """What changes when a file of another store is written again; None where there is none.

    Raises:
        SlideOpenError: the store does not say.
    """
    try:
        state = remote_state(path)
    except CopyError as error:
        raise SlideOpenError(str(error)) from error
    return None if state is None else (state[0], stable_hash(state[1]))


def local_path(path: str) -> str:
    """The path of a file on this machine or a mounted disk.

    Raises:
        SlideOpenError: it lies elsewhere.
    """
    scheme, separator, _ = path.partition("://")
    if not separator:
        return path
    if scheme != "file":
        raise SlideOpenError(f"{path} lies on {scheme}, not on a disk of this machine; copy it")
    return unquote(urlsplit(path.replace("?", "%3F").replace("#", "%23")).path)


def files_beside(folder: Store, name: str) -> Iterable[str]:
    """Names, below its folder, of the files that a slide's format needs beside it."""
    stem, ending = posixpath.splitext(name)
    match ending.lower():
        case ".mrxs":
            return in_folder(folder, stem)
        case ".vms" | ".vmu":
            named = _values(folder.read_bytes(name).decode("latin-1"))
            return [other for other in folder.names() if other in named]
        case ".dcm":
            return [other for other in folder.names() if other.lower().endswith(".dcm")]
    return ()


def _values(text: str) -> set[str]:
    """What stands right of `=` in a file of keys and values."""
    return {line.partition("=")[2].strip() for line in text.splitlines()}
