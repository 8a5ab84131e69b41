"""Where summaries lie: the last one beside the results of the model, the earlier ones in `refresh/`."""

import logging
from typing import Final

from pydantic import ValidationError

from cluster.storage import TEMPORARY, Store
from inference.refreshing.run_page import run_page
from inference.refreshing.run_summary import RunSummary

log = logging.getLogger("histospark")

HISTORY: Final = "refresh"
REPORT: Final = "report"
MOST: Final = 400
"""Summaries that are kept, more than a year of nights."""


def write_summary(summary: RunSummary, folder: str) -> None:
    """Write a summary as page and as JSON, each whole or not there.

    Args:
        summary: of a run. That of a refresh is kept in `refresh/` under its start, too, and the oldest go.
        folder: URI of the model's results; gets `report.html` and `report.json`.
    """
    store = Store(folder)
    data = (summary.model_dump_json(indent=2) + "\n").encode()
    if summary.kind == "refresh":
        name = f"{HISTORY}/{summary.started:%Y%m%dT%H%M%S}{summary.started.microsecond // 1000:03d}Z"
        store.write_bytes(data, f"{name}.json")
        store.write_bytes(run_page(summary, "../").encode(), f"{name}.html")
        _tidy(store)
    store.write_bytes(data, f"{REPORT}.json")
    store.write_bytes(run_page(summary, "").encode(), f"{REPORT}.html")


def last_summary(folder: str) -> RunSummary | None:
    """The summary of the last run; None where there is none that this version reads.

    Args:
        folder: URI of the model's results.
    """
    store = Store(folder)
    if not store.exists(f"{REPORT}.json"):
        return None
    try:
        return RunSummary.model_validate_json(store.read_bytes(f"{REPORT}.json"))
    except ValidationError:
        log.warning("%s/%s.json is of another version; the run goes on without it", store.uri, REPORT)
        return None


def _tidy(store: Store) -> None:
    """Remove what a killed run left half written, and all but the newest summaries."""
    names = store.names(HISTORY)
    starts = sorted({name.partition(".")[0] for name in names if name.endswith((".html", ".json")) and name[0] != "_"})
    old = set(starts[:-MOST])
    for name in names:
        if name.startswith(TEMPORARY) or (name.partition(".")[0] in old and name.endswith((".html", ".json"))):
            store.remove(HISTORY, name)
