"""Checkpoints: all that decides how a training goes on, in one file that is whole or not there.

`checkpoints/epochs_0002_batches_0000120.npz` was written after 2 epochs and 120 batches of the next one. It is a zip of
`position.json` and of NumPy arrays; nothing in it is pickled. The two newest ones are kept, the older of them
for the case that the newer one is damaged.
"""

import json
import logging
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cluster.errors import UsageError
from training.epochs import Position
from training.training_identity import differences
from training.variable_files import read_group, write_group

KEPT: Final = 2
_POSITION: Final = "position.json"
_NAME: Final = re.compile(r"epochs_(\d+)_batches_(\d+)\.npz")
_PARTIAL: Final = ".partial-"

log = logging.getLogger("histospark")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read through and is whole.

    Attributes:
        path: the file.
        position: where the training stood.
    """

    path: Path
    position: Position

    def restore(self, group: str, variables: Sequence[Any], strategy: Any) -> None:
        """Give variables the values of then.

        Args:
            group: as it was given to `save`.
            variables: in the same order as then.
            strategy: that they were made under.

        Raises:
            UsageError: the checkpoint is of other variables.
        """
        with zipfile.ZipFile(self.path) as archive:
            try:
                read_group(archive, group, variables, strategy)
            except ValueError as error:
                raise UsageError(
                    f"{self.path} is of another model, or of another version of HistoSpark (it holds {error}): give "
                    f"another --out, or remove {self.path.parent} to train anew"
                ) from error


@dataclass(frozen=True)
class CheckpointFolder:
    """The checkpoints of one training.

    Attributes:
        path: where they lie.
        identity: of the training, see `training_identity`.
    """

    path: Path
    identity: Mapping[str, Any]

    def files(self) -> list[Path]:
        """All that are there, the newest last."""
        found = ((_NAME.fullmatch(file.name), file) for file in self.path.glob("*.npz"))
        return [file for _, file in sorted((_place(match), file) for match, file in found if match)]

    def save(self, position: Position, groups: Mapping[str, Sequence[Any]], strategy: Any) -> Path:
        """Write a checkpoint, then drop all but the newest two.

        Memory: one variable at a time.

        Args:
            position: where the training stands.
            groups: variables by a name of their own.
            strategy: that they were made under.

        Raises:
            OSError: the disk is full, or the folder cannot be written; the older checkpoints are still there.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / f"epochs_{len(position.epochs):04d}_batches_{position.batches:07d}.npz"
        with replaced(path) as partial, zipfile.ZipFile(partial, "w") as archive:
            archive.writestr(_POSITION, json.dumps({"identity": self.identity, "position": position.stored()}))
            for group, variables in groups.items():
                write_group(archive, group, variables, strategy)
        files = self.files()
        here = files.index(path)
        # What claims to be newer is left from a run that this one could not go on from.
        for other in (*files[: max(here + 1 - KEPT, 0)], *files[here + 1 :]):
            other.unlink()
        return path

    def refuse_other(self) -> None:
        """Make sure that the checkpoints are of this training, before anything is built or written for it.

        Raises:
            UsageError: they are of another; the settings that differ are named.
        """
        for path in reversed(self.files()):
            with suppress(*_DAMAGE):
                self._refuse_other(_content(path, whole=False)["identity"])
                return

    def newest(self) -> Checkpoint | None:
        """The newest whole checkpoint; None where the training has none yet.

        Raises:
            UsageError: it is of another training, or all are damaged.
        """
        for left in self.path.glob(f"{_PARTIAL}*"):  # of a run that was killed while it wrote
            left.unlink()
        files = self.files()
        for path in reversed(files):
            try:
                content = _content(path)
                position = Position.of(content["position"])
            except _DAMAGE as error:
                log.warning("%s is damaged (%s): the one before it is taken", path, error or type(error).__name__)
                continue
            self._refuse_other(content["identity"])
            return Checkpoint(path, position)
        if files:
            raise UsageError(
                f"no checkpoint in {self.path} can be read: restore one of them, or remove the folder to train anew"
            )
        return None

    def _refuse_other(self, identity: Mapping[str, Any]) -> None:
        differing = differences(identity, self.identity)
        if differing:
            raise UsageError(
                f"{self.path} holds the checkpoints of another training: {differing}; give another --out, or remove "
                "that folder to train anew"
            )


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file for its new content: once it is written and on the disk, it takes the place of the old one.

    Args:
        path: the file; the temporary one lies beside it and ends like it.
    """
    partial = path.with_name(f"{_PARTIAL}{path.name}")
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


_DAMAGE: Final = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    NotImplementedError,  # zipfile, where the damage looks like a way of compression
    RuntimeError,  # zipfile, where it looks like a password
    zipfile.BadZipFile,
)


def _content(path: Path, whole: bool = True) -> dict[str, Any]:
    """Position and identity; where it shall be `whole`, once every byte was read and fits its checksum."""
    with zipfile.ZipFile(path) as archive:
        bad = archive.testzip() if whole else None
        if bad is not None:
            raise zipfile.BadZipFile(f"checksum of {bad}")
        content = json.loads(archive.read(_POSITION))
    return {"identity": dict(content["identity"]), "position": dict(content["position"])}


def _place(match: re.Match[str]) -> tuple[int, int]:
    return int(match[1]), int(match[2])


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
