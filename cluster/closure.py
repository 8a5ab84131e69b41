"""Which installed distributions a job needs: its requirements, what they require, and so on to the end."""

from collections.abc import Collection, Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cluster.errors import UsageError


def installed_closure(roots: Iterable[str], without: Collection[str] = ()) -> list[Distribution]:
    """The distributions of this environment that some requirements come to; nothing is asked of a package index.

    Markers are judged for this Python and machine, which have to be those of the nodes.

    Args:
        roots: requirements as in setup.py, extras and all; their versions are not looked at: what is here goes.
        without: names of distributions that are left out with all that only they require.

    Returns:
        Each once, ordered by name.

    Raises:
        UsageError: one is not installed.
    """
    left_out = {canonicalize_name(name) for name in without}
    found: dict[str, Distribution] = {}
    todo = [Requirement(root) for root in roots]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        if name in left_out or (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        found[name] = _installed(wanted.name)
        todo += [line for line in _requirements(found[name]) if _applies(line, wanted.extras)]
    return [found[name] for name in sorted(found)]


def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError as error:
        raise UsageError(
            f"the job needs {name} on the executors, which is not installed here: pip install it"
        ) from error


def _requirements(of: Distribution) -> list[Requirement]:
    return [Requirement(line) for line in of.requires or ()]


def _applies(line: Requirement, extras: Collection[str]) -> bool:
    return line.marker is None or any(line.marker.evaluate({"extra": extra}) for extra in ("", *extras))
