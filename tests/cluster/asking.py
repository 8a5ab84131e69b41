"""Asking for a lock at the same moment as others; what a child process of a test does."""

from typing import Any

from cluster.errors import UsageError
from cluster.lock import confirm_lock, output_lock
from cluster.storage import Store


def ask_and_say(out: str, run: str, start: Any, tried: Any, said: Any) -> None:
    """`ask`, with the answer put into a queue."""
    said.put(ask(out, run, start, tried))


def ask(out: str, run: str, start: Any, tried: Any) -> str:
    """Ask for the lock when all do, and give it back when all have asked."""
    store = Store(out)
    start.wait(120)
    try:
        with output_lock(store, run, "a job"):
            tried.wait(120)
            confirm_lock(store, run)
            return "got it"
    except UsageError:
        tried.wait(120)
        return "refused"
