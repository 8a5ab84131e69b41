"""What is made once and used again: files in the user's cache folder that are whole or not there."""

import fcntl
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

_UNFINISHED: Final = "_tmp-"


def cache_folder(name: str) -> Path:
    """A folder below `$XDG_CACHE_HOME/histospark`, by default `~/.cache/histospark`; made where it is missing."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "histospark" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """A file that is made by the first that asks; others that ask meanwhile wait for it.

    Args:
        target: where it lies, in a folder of `cache_folder`; its name has to tell all that shapes it.
        make: writes it under the name it is given. What it leaves when it dies is never used, and cleared by the next.

    Returns:
        `target`, which is whole.
    """
    if target.exists():
        return target
    with target.with_name(f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the system gives it back when its process dies
        if target.exists():
            return target
        for left in target.parent.glob(f"{_UNFINISHED}*-{target.name}"):
            left.unlink(missing_ok=True)
        unfinished = target.with_name(f"{_UNFINISHED}{uuid.uuid4().hex}-{target.name}")
        try:
            make(unfinished)
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
    return target
