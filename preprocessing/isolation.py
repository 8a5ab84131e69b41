"""One slide cannot cost others their work: a slide that ends its worker is tried twice and then recorded.

A native crash, a kill for memory or a hang ends the Python worker; Spark then tries the task again. Spark counts the
attempts, so that this works whatever ended the worker. Those that went with their executor count, too: where executors
were lost, `Batch` acquits the slide and tries it once more. Needs a session that allows three attempts at a task
(`spark.task.maxFailures`, or `local[N,F]`); where it allows fewer, `Batch` finds the slide by halving the wave.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from cluster.storage import Store
from cluster.worker import HANGS_AFTER_VARIABLE, deaths_of_this_task, last_words, watchdog
from preprocessing.errors import WorkerLostError

MOST_DEATHS: Final = 2  # the first attempt and one more
_DEADLY: Final = "_deadly"  # below staging: a note for each slide that was given up


@contextmanager
def isolated(slide_id: str, unit: str, staging: str) -> Iterator[Callable[[], None]]:
    """To be put around all work on one slide within a Spark task, inside of what turns errors into a report.

    Args:
        slide_id: the slide; the only one of the task, else others are given up with it.
        unit: unique name of the work on this slide.
        staging: URI of the staging folder of the run.

    Yields:
        To be called as a sign of life, e.g. once a block.

    Raises:
        WorkerLostError: this slide has ended a worker twice; with the stacks, where they are known.
    """
    store, note, name = Store(staging), f"{_DEADLY}/{slide_id}", f"{slide_id}/{unit}"
    deaths = deaths_of_this_task()
    if deaths >= MOST_DEATHS:
        words = last_words(name)
        store.write_bytes(words.encode(), note)
        raise _lost(words)
    if deaths == 0 and store.exists(note):  # other units of a slide that was given up: not twice each
        raise _lost(store.read_bytes(note).decode())
    with watchdog(name) as alive:
        yield alive


def acquit(slide_id: str, staging: str) -> None:
    """A slide that was given up is no longer: its work is done anew."""
    Store(staging).remove(f"{_DEADLY}/{slide_id}")


def _lost(words: str) -> WorkerLostError:
    how = "crashed in native code"
    if not words:
        how = "was killed (out of memory?)"
    elif words.startswith("Timeout"):
        how = f"hung (no block done for longer than the limit, see {HANGS_AFTER_VARIABLE})"
    error = WorkerLostError(f"the worker that read it {how}, twice; check the file, or give workers more memory")
    error.add_note(words)
    return error
