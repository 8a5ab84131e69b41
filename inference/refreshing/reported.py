"""A run of `infer` with its page: whatever becomes of it, it is told beside the results."""

import logging
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from cluster.errors import ExitCode, UsageError
from inference.refreshing.summarize import RunEnd, RunFacts, summarize
from inference.refreshing.summary_files import write_summary
from preprocessing.recipe import Recipe
from preprocessing.slide_entry import SlideEntry

log = logging.getLogger("histospark")


@contextmanager
def reported(
    folder: str, recipe: Recipe, model_id: str, inference_id: str, source: str, entries: Sequence[SlideEntry]
) -> Iterator[None]:
    """Write `report.html` and `report.json` at the end of what is done inside.

    A run that was refused, for wrong use or as another has the lock, writes nothing.

    Args:
        folder: URI of the model's results.
        recipe: how.
        model_id: of the model.
        inference_id: what the ledger compares with earlier runs, see `inference.job`.
        source: of the slides.
        entries: of the inventory.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    facts = RunFacts("infer", command_line(), source, folder, recipe, model_id, inference_id, started)
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        end = RunEnd(time.monotonic() - clock, stopped=reason_of(error), code=ExitCode.FAILED)
        tell_in_spite(facts, entries, end)
        raise
    write_summary(summarize(facts, entries, RunEnd(time.monotonic() - clock)), folder)


def command_line() -> str:
    """Of this process; `without_secrets` goes over it before it is shown."""
    return shlex.join(["histospark", *sys.argv[1:]])


def reason_of(error: Exception) -> str:
    """Why a run broke, in one line."""
    line = " ".join(str(error).split()) or "no message"
    return line if isinstance(error, UsageError) else f"{type(error).__name__}: {line}"


def tell_in_spite(facts: RunFacts, entries: Sequence[SlideEntry], end: RunEnd) -> None:
    """The summary of a run that broke; where that breaks, too, the first cause still counts.

    Args:
        facts: of the run.
        entries: all slides there are; empty where that is not known.
        end: how it broke.
    """
    try:
        write_summary(summarize(facts, entries, end), facts.folder)
    except Exception as error:
        log.warning("the summary of this run could not be written: %s: %s", type(error).__name__, error)
