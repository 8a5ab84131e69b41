"""The files of the lab's page, held in memory: no address is ever made a path."""

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from inference.lab.run_files import digest

STATIC: Final = Path(__file__).with_name("static")
"""Where they lie."""

_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}  # a machine's own list may differ


@dataclass(frozen=True)
class PageFile:
    """One file.

    Attributes:
        content: all of it.
        media_type: what it is.
        etag: changes with its content.
    """

    content: bytes
    media_type: str
    etag: str


def page_files(folder: Path = STATIC) -> Mapping[str, PageFile]:
    """The files of the page by their name below `static/`. Memory: half a megabyte."""
    return {path.relative_to(folder).as_posix(): _read(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _read(path: Path) -> PageFile:
    content = path.read_bytes()
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    charset = "; charset=utf-8" if kind.startswith("text/") else ""
    return PageFile(content, kind + charset, f'"{digest(content)}"')
