"""The ledger: one row per slide and attempt, so that nothing is lost in silence and nothing is done twice."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from cluster.storage import Store
from preprocessing.inventory import SlideEntry
from preprocessing.ledger_files import FOLDER, read_rows, tidy, write_rows
from preprocessing.ledger_schema import SCHEMA, columns_of
from preprocessing.slide_facts import SlideFacts

__all__ = ["FOLDER", "Job", "Outcome", "Status", "append", "failed_by", "latest", "pending", "tidy"]

Job = Literal["tile", "infer"]
Status = Literal["done", "failed", "empty"]

_WITHOUT_TRACE: Final = [name for name in SCHEMA.names if name != "trace"]  # long, and for developers
_FROM_OUTCOME: Final = (
    "status", "error_type", "error", "trace", "candidates", "patches", "positives", "seconds", "left_out",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How the attempt at one slide ended.

    Attributes:
        status: done, failed, or empty (read well, but nothing to keep).
        facts: how it was read; None where it did not open.
        error_type, error, trace: the cause in a word, for a person, and for a developer.
        candidates, patches, positives: counts.
        seconds: of the worker and driver, for this slide.
        written_bytes: of its files in the table; for the figures of the run, not for the ledger.
        left_out: windows that the recipe's placement asks for and that found no place.
    """

    entry: SlideEntry
    status: Status
    facts: SlideFacts | None = None
    error_type: str | None = None
    error: str | None = None
    trace: str | None = None
    candidates: int = 0
    patches: int = 0
    positives: int = 0
    seconds: float = 0.0
    written_bytes: int = 0
    left_out: int = 0


def failed_by(entry: SlideEntry, error: Exception, facts: SlideFacts | None = None) -> Outcome:
    """The outcome of a slide that raised; to be called where the error is handled, which gives the trace."""
    reason = (str(error).strip() or "no message").splitlines()[0]
    return Outcome(entry, "failed", facts, type(error).__name__, reason, traceback.format_exc())


def latest(store: Store, job: Job) -> pd.DataFrame:
    """The last attempt at every slide.

    Args:
        store: the output folder.
        job: whose attempts.

    Returns:
        Columns of `SCHEMA` without `trace`, one row a slide, by slide_id; null in rows older than the column.
        Memory: about 3 kB a slide and attempt, on the driver (100,000 slides: 300 MB and 3 s).

    Raises:
        UsageError: a file is no ledger of ours, or of another version.
    """
    rows = read_rows(store, _WITHOUT_TRACE).to_pandas()
    rows = rows[rows["job"] == job].sort_values(["slide_id", "attempt", "processed_at"])
    return rows.groupby("slide_id", as_index=False).tail(1).reset_index(drop=True)


def pending(entries: Sequence[SlideEntry], last: pd.DataFrame, recipe_id: str) -> list[SlideEntry]:
    """The slides that are new, changed, failed, or were done by another recipe.

    Args:
        entries: of the inventory.
        last: from `latest`.
        recipe_id: of this run.
    """
    settled = last[last["status"].isin(["done", "empty"]) & (last["recipe_id"] == recipe_id)]
    known = set(zip(settled["slide_id"], settled["fingerprint"], strict=True))
    return [entry for entry in entries if (entry.slide_id, entry.fingerprint) not in known]


def append(store: Store, job: Job, outcomes: Sequence[Outcome], recipe_id: str, last: pd.DataFrame) -> None:
    """Add the rows of one wave, as one file.

    Args:
        store: the output folder.
        job: which job tried.
        outcomes: one a slide.
        recipe_id: of this run.
        last: from `latest` and so sorted by slide_id, to number the attempts.
    """
    attempts = _attempts_of([outcome.entry.slide_id for outcome in outcomes], last)
    now = datetime.now(UTC)
    rows = [
        _row(job, outcome, recipe_id, attempt + 1, now) for outcome, attempt in zip(outcomes, attempts, strict=True)
    ]
    write_rows(store, pa.Table.from_pylist(rows, SCHEMA))


def _attempts_of(slide_ids: Sequence[str], last: pd.DataFrame) -> list[int]:
    """How often some slides were tried; 0 for those that `last` lacks.

    Searched for, not indexed: a wave must not cost more the more slides are known.
    """
    known, attempts = last["slide_id"].array, last["attempt"].array
    places = last["slide_id"].searchsorted(np.array(slide_ids, dtype=object))
    return [
        int(attempts[place]) if place < len(known) and known[place] == slide_id else 0
        for slide_id, place in zip(slide_ids, places, strict=True)
    ]


def _row(job: Job, outcome: Outcome, recipe_id: str, attempt: int, now: datetime) -> dict[str, Any]:
    entry = outcome.entry
    row: dict[str, Any] = {"job": job, "recipe_id": recipe_id, "attempt": attempt, "processed_at": now}
    row |= {name: getattr(entry, name) for name in ("slide_id", "path", "fingerprint", "split", "patient_id")}
    row |= {name: getattr(outcome, name) for name in _FROM_OUTCOME}
    if outcome.facts is not None:
        row |= columns_of(outcome.facts)
    return {name: row.get(name) for name in SCHEMA.names}
