"""Which reader a slide gets. The only place that picks."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from preprocessing.errors import SlideError, SlideOpenError
from preprocessing.readers.base import Reader
from preprocessing.readers.direct_reader import DirectReader
from preprocessing.readers.flat_reader import FlatReader
from preprocessing.readers.openslide_reader import OpenSlideReader
from preprocessing.readers.proof import equals_openslide
from preprocessing.readers.tile_index import NotDirectError

ReaderName = Literal["direct", "openslide", "flat"]
_READERS: dict[ReaderName, type[DirectReader] | type[OpenSlideReader] | type[FlatReader]] = {
    "direct": DirectReader,
    "openslide": OpenSlideReader,
    "flat": FlatReader,
}


@dataclass(frozen=True)
class ReaderChoice:
    """The reader of a slide.

    Attributes:
        name: of the reader.
        note: why it is not a faster one; empty where it is the fastest.
    """

    name: ReaderName
    note: str = ""


def choose_reader(path: str) -> ReaderChoice:
    """Pick the fastest reader that is right for a slide: direct where it is proved equal to OpenSlide, OpenSlide, flat.

    A slide is what OpenSlide opens; an image that it refuses is read flat.

    Args:
        path: of the file, plain or `file://`.

    Raises:
        SlideOpenError: no reader opens it.
    """
    local = local_path(path)
    try:
        openslide = OpenSlideReader(local)
    except SlideOpenError as refusal:
        if Path(local).is_file() and not os.access(local, os.R_OK):
            raise SlideOpenError(f"{local} may not be read: permission denied; ask its owner") from refusal
        if not Path(local).is_file():
            raise SlideOpenError(f"{local} {'is no file' if Path(local).exists() else 'does not exist'}") from refusal
        try:
            FlatReader(local).close()
        except SlideOpenError as flat_refusal:
            reasons = f"OpenSlide: {_reason(refusal, local)}; flat: {_reason(flat_refusal, local)}"
            raise SlideOpenError(f"{local} opens neither as a slide nor as a flat image ({reasons})") from refusal
        return ReaderChoice("flat", "no format that OpenSlide knows")
    with openslide:
        note = _why_not_direct(local, openslide)
    return ReaderChoice("direct") if note is None else ReaderChoice("openslide", note)


def open_slide(path: str, choice: ReaderChoice | None = None) -> Reader:
    """Open a slide.

    Args:
        path: of the file, plain or `file://`.
        choice: what `choose_reader` said of it, which makes this cheap; without it, that is done first.

    Raises:
        SlideOpenError: the reader does not open it.
    """
    chosen = choice or choose_reader(path)
    return _READERS[chosen.name](local_path(path))


def local_path(path: str) -> str:
    """The path of a file on this machine or a mounted disk.

    Raises:
        SlideOpenError: it lies elsewhere.
    """
    scheme, separator, _ = path.partition("://")
    if not separator:
        return path
    if scheme != "file":
        raise SlideOpenError(
            f"{path} cannot be opened over {scheme}; copy the slide to a disk that every worker mounts"
        )
    return unquote(urlsplit(path.replace("?", "%3F").replace("#", "%23")).path)


def _why_not_direct(path: str, openslide: OpenSlideReader) -> str | None:
    """The reason against direct reading in a few words, None where there is none."""
    try:
        with DirectReader(path) as direct:
            difference = equals_openslide(direct, openslide)
    except NotDirectError as refusal:
        return str(refusal)
    except SlideError as error:
        return _reason(error, path)
    return None if difference is None else difference.removeprefix(f"{path}: ")


def _reason(error: SlideError, path: str) -> str:
    return str(error).removeprefix(path).removeprefix(":").strip()
