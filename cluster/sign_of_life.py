"""Signs of life from what takes its time deep inside: a watchdog far above hears them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_hearing: list[Callable[[], None]] = []


def still_alive() -> None:
    """Tell whoever listens in this process that the work goes on."""
    for hear in tuple(_hearing):
        hear()


@contextmanager
def heard_by(listener: Callable[[], None]) -> Iterator[None]:
    """Call `listener` at every sign of life within the block."""
    _hearing.append(listener)
    try:
        yield
    finally:
        _hearing.remove(listener)
