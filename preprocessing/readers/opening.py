"""Which reader a slide gets. The only place that picks."""

import os
import weakref
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from cluster.local_copies import LocalCopy
from preprocessing.errors import SlideError, SlideOpenError
from preprocessing.readers.base import Reader, SlideInfo
from preprocessing.readers.direct_reader import DirectReader
from preprocessing.readers.flat_reader import FlatReader
from preprocessing.readers.openslide_reader import CACHE_BYTES, OpenSlideReader
from preprocessing.readers.proof import OPENSLIDE_CACHE_BYTES, equals_openslide
from preprocessing.readers.staged import FileState, is_elsewhere, local_path, staged, state_elsewhere
from preprocessing.readers.tile_index import NotDirectError

__all__ = [
    "FileState", "ReaderChoice", "ReaderName", "choose_reader", "file_state", "known_choice", "local_path",
    "open_proved", "open_slide", "read_info",
]  # fmt: skip

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


def open_proved(path: str) -> tuple[Reader, ReaderChoice]:
    """Open a slide with the fastest reader that is right for it.

    Direct where that is proved equal to OpenSlide, else OpenSlide; an image that OpenSlide refuses is read flat. The
    reader that was on trial is handed on, so the slide is opened once by each, and what the proof decoded need not be
    decoded again.

    Args:
        path: of the file, plain or by URI; what lies on HDFS or S3 is copied to this machine first, see `staged`.

    Returns:
        The reader, to be closed by the caller, and how the slide is opened the next time without a proof.

    Raises:
        SlideOpenError: no reader opens it.
    """
    with ExitStack() as unless_opened:
        copy = unless_opened.enter_context(staged(path))
        reader, choice = _proved(copy.path)
        unless_opened.pop_all()
    return _in_use(copy, reader), choice


def _proved(local: str) -> tuple[Reader, ReaderChoice]:
    try:
        openslide = OpenSlideReader(local)
    except SlideOpenError as refusal:
        return _open_flat(local, refusal), ReaderChoice("flat", "no format that OpenSlide knows")
    with ExitStack() as unless_chosen:
        unless_chosen.enter_context(openslide)
        openslide.limit_cache(OPENSLIDE_CACHE_BYTES)
        direct = _direct_or_why_not(local, openslide)
        if isinstance(direct, DirectReader):
            return direct, ReaderChoice("direct")
        openslide.limit_cache(CACHE_BYTES)
        unless_chosen.pop_all()
    return openslide, ReaderChoice("openslide", direct)


def _in_use(copy: LocalCopy, reader: Reader) -> Reader:
    """Keep the copy for as long as its reader lives: readers open their file again when they need it."""
    weakref.finalize(reader, copy.close)
    return reader


def choose_reader(path: str) -> ReaderChoice:
    """Which reader `open_proved` takes; arguments and errors are the same."""
    reader, choice = open_proved(path)
    reader.close()
    return choice


def known_choice(path: str) -> ReaderChoice:
    """As `choose_reader`, for a file that is opened again and again: judged once in a process, unless it changes."""
    state = file_state(path)
    return choose_reader(path) if state is None else _choice_of(path, state)  # what is not there is said so


def file_state(path: str) -> FileState | None:
    """What changes when a file is written again or replaced; None where there is no file."""
    if is_elsewhere(path):
        return state_elsewhere(path)
    try:
        now = Path(local_path(path)).stat()
    except OSError:
        return None
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns


@lru_cache(maxsize=64)  # of a few hundred bytes each
def _choice_of(path: str, state: FileState) -> ReaderChoice:
    del state  # it is there to tell one file from a later one
    return choose_reader(path)


def open_slide(path: str, choice: ReaderChoice | None = None) -> Reader:
    """Open a slide.

    Args:
        path: of the file, plain or by URI.
        choice: what `choose_reader` said of it, which makes this cheap; without it, that is done first.

    Raises:
        SlideOpenError: the reader does not open it.
    """
    if choice is None:
        return open_proved(path)[0]
    with ExitStack() as unless_opened:
        copy = unless_opened.enter_context(staged(path))
        reader = _READERS[choice.name](copy.path)
        unless_opened.pop_all()
    return _in_use(copy, reader)


def read_info(path: str) -> SlideInfo:
    """What a slide says of itself, without a proof: OpenSlide's word, which a direct reader has to agree with.

    Args:
        path: of the file, plain or by URI.

    Raises:
        SlideOpenError: no reader opens it.
    """
    with staged(path) as copy:
        try:
            reader: Reader = OpenSlideReader(copy.path)
        except SlideOpenError as refusal:
            reader = _open_flat(copy.path, refusal)
        with reader:
            return reader.info


def _open_flat(path: str, refusal: SlideOpenError) -> FlatReader:
    """Open what OpenSlide refused as a flat image, or say why nothing opens it."""
    if Path(path).is_file() and not os.access(path, os.R_OK):
        raise SlideOpenError(f"{path} may not be read: permission denied; ask its owner") from refusal
    if not Path(path).is_file():
        raise SlideOpenError(f"{path} {'is no file' if Path(path).exists() else 'does not exist'}") from refusal
    try:
        return FlatReader(path)
    except SlideOpenError as flat_refusal:
        reasons = f"OpenSlide: {_reason(refusal, path)}; flat: {_reason(flat_refusal, path)}"
        raise SlideOpenError(f"{path} opens neither as a slide nor as a flat image ({reasons})") from refusal


def _direct_or_why_not(path: str, openslide: OpenSlideReader) -> DirectReader | str:
    """The direct reader, open, where it is proved equal to OpenSlide; else the reason against it in a few words."""
    try:
        with ExitStack() as unless_equal:
            direct = unless_equal.enter_context(DirectReader(path))
            difference = equals_openslide(direct, openslide)
            if difference is None:
                unless_equal.pop_all()
                return direct
    except NotDirectError as refusal:
        return str(refusal)
    except SlideError as error:
        return _reason(error, path)
    return difference.removeprefix(f"{path}: ")


def _reason(error: SlideError, path: str) -> str:
    return str(error).removeprefix(path).removeprefix(":").strip()
