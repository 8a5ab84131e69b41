"""Whether two runs are the same training: what makes a checkpoint of the one a wrong start for the other."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from preprocessing.recipe import Training
from training.stream import SplitStream

_FREE: Final = frozenset({"checkpoint_minutes", "reader_workers", "target_sensitivity"})
"""Settings that change nothing in what is trained."""
_TOLD: Final = 5  # differences that one line can hold


def training_identity(train: SplitStream, validation: SplitStream, training: Training) -> dict[str, Any]:
    """All that decides what a training comes to, but the machine it runs on.

    Returns:
        Settings as JSON can hold them; of the table the number of rows of each split, and a hash of its files with
        their rows. A table that was copied elsewhere is the same one.
    """
    streams = (train, validation)
    return {
        "recipe_id": train.table.recipe_id,
        "seed": None if train.shuffle is None else train.shuffle.seed,
        "training": training.model_dump(mode="json", exclude=set(_FREE)),
        "rows": {stream.split: stream.table.rows(stream.split) for stream in streams},
        "files": {stream.split: _files(stream) for stream in streams},
    }


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """What differs between two identities, for people; nothing where they are the same."""
    old, new = dict(_flat(there)), dict(_flat(here))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    told = [f"{name} ({old.get(name, 'unset')} there, {new.get(name, 'unset')} here)" for name in names[:_TOLD]]
    more = [f"{len(names) - _TOLD} more"] if len(names) > _TOLD else []
    return ", ".join(told + more)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Each single setting by its dotted name, as `--set` takes it."""
    if isinstance(value, Mapping):
        parts = list(value.items())
    elif isinstance(value, list | tuple):
        parts = list(enumerate(value))
    else:
        yield name, value
        return
    for key, part in parts:
        yield from _flat(part, f"{name}.{key}" if name else str(key))


def _files(stream: SplitStream) -> str:
    lines = (
        f"{file.partition.slide_id} {file.partition.label} {file.path.rpartition('/')[2]} {file.rows}"
        for file in stream.table.labeled(stream.split)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
