"""Variables of Keras in a zip of NumPy files, to the last bit, whatever the number of replicas.

A variable is named by its place in its group, not by its Keras name: Keras numbers unnamed layers through the whole
process, so that the same network has other names in the next one. `numpy.load` reads the file, too.

Under a distribution strategy a variable has one value per replica. Weights have equal ones; batch norm statistics that
are not synchronized differ, and metrics hold on each replica what that replica has counted. Where values differ all are
written, so that the same number of replicas goes on exactly.
"""

import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_group(archive: zipfile.ZipFile, group: str, variables: Sequence[Any], strategy: Any) -> None:
    """Add variables to an archive, one at a time.

    Args:
        archive: open for writing.
        group: folder inside it.
        variables: of Keras.
        strategy: that they were made under.
    """
    for index, variable in enumerate(variables):
        for replica, value in enumerate(_values(variable, strategy)):
            with archive.open(f"{group}/{index:05d}@{replica}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, value, allow_pickle=False)  # type: ignore[no-untyped-call]


def read_group(archive: zipfile.ZipFile, group: str, variables: Sequence[Any], strategy: Any) -> None:
    """Give variables the values that `write_group` wrote, one at a time.

    With another number of replicas a metric's counts are shared out evenly, and all else is that of the first replica.

    Raises:
        ValueError: the archive holds other variables.
    """
    stored: dict[int, list[str]] = {}
    for name in sorted(name for name in archive.namelist() if name.startswith(f"{group}/")):
        stored.setdefault(int(name.removeprefix(f"{group}/").partition("@")[0]), []).append(name)
    if len(stored) != len(variables):
        raise ValueError(f"{len(stored)} variables of the {group}, not {len(variables)}")
    for index, variable in enumerate(variables):
        values = [_read(archive, name) for name in stored[index]]
        for value in values:
            if value.shape != tuple(variable.shape) or value.dtype != variable.dtype:
                raise ValueError(
                    f"{variable.path} as {value.dtype} {value.shape}, not {variable.dtype} {tuple(variable.shape)}"
                )
        _assign(variable, values, strategy)


def group_bytes(variables: Sequence[Any]) -> int:
    """What variables take on one replica, bytes."""
    return sum(int(np.prod(variable.shape)) * np.dtype(variable.dtype).itemsize for variable in variables)


def _values(variable: Any, strategy: Any) -> list[NDArray[Any]]:
    values = [np.asarray(local.numpy()) for local in strategy.experimental_local_results(variable.value)]
    differ = any(not np.array_equal(value, values[0]) for value in values[1:])
    return values if differ or variable.synchronization == "on_read" else values[:1]


def _assign(variable: Any, values: Sequence[NDArray[Any]], strategy: Any) -> None:
    replicas = strategy.experimental_local_results(variable.value)
    if len(values) != len(replicas):
        shared_out = variable.synchronization == "on_read" and variable.aggregation == "sum"
        value = sum(values) / len(replicas) if shared_out else values[0]
        values = [np.asarray(value, values[0].dtype)] * len(replicas)
    for local, value in zip(replicas, values, strict=True):
        local.assign(value)


def _read(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(name) as entry:
        return np.lib.format.read_array(entry, allow_pickle=False)  # type: ignore[no-untyped-call]
