"""What the lab says where it has nothing to show: a status of HTTP and one line for a person."""

import re
from typing import Final

# A path from the root of a file system, up to its last folder; a URI keeps its slashes.
_FOLDERS: Final = re.compile(r"(?<![\w:/.])/(?:[^\s/'\"<>;]+/)+")


class NotShownError(Exception):
    """One thing that cannot be shown; the lab goes on.

    Args:
        status: 400 wrong question, 404 not there, 410 was there and is gone or damaged.
        message: cause and remedy in one line, without places of this machine.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def without_places(text: str, *paths: str) -> str:
    """A message without the folders of this machine: files keep their names.

    Args:
        text: for people.
        paths: files that it may speak of; folders of other files are known by their slashes.
    """
    for path in paths:
        folder, slash, _ = path.rpartition("/")
        if slash and folder:
            text = text.replace(folder + slash, "")
    return " ".join(_FOLDERS.sub("", text).split())
