"""What the ledger says of one run and of what came before it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import pandas as pd

from cluster.storage import Store
from preprocessing.ledger import Job
from preprocessing.ledger_files import read_rows

How = Literal["new", "changed", "retried", "redone"]
"""Why a slide was worked on: never seen; other files; failed before; done before, with other settings or lost."""

_COLUMNS: Final = (
    "job",
    "slide_id",
    "fingerprint",
    "recipe_id",
    "status",
    "error_type",
    "error",
    "patches",
    "positives",
    "attempt",
    "processed_at",
)


@dataclass(frozen=True)
class Attempt:
    """The last attempt at a slide in a run.

    Attributes:
        slide_id: which.
        how: why it was worked on.
        status: done, empty or failed.
        rows: windows judged, or patches cut.
        positives: of these.
    """

    slide_id: str
    how: How
    status: str
    rows: int
    positives: int


@dataclass(frozen=True)
class Failing:
    """A slide whose last attempt failed.

    Attributes:
        slide_id: which.
        error_type, error: the cause, in a word and for people.
        attempts: failures in a row.
        since: end of the first of these.
    """

    slide_id: str
    error_type: str
    error: str
    attempts: int
    since: datetime


def ledger_rows(store: Store, job: Job) -> pd.DataFrame:
    """All attempts of a job, oldest first of each slide; each once.

    Args:
        store: the output folder.
        job: whose attempts.

    Returns:
        slide_id, fingerprint, recipe_id, status, error_type, error, patches, positives, attempt, processed_at.
        Memory: about 1 kB an attempt.
    """
    rows = read_rows(store, _COLUMNS).to_pandas()
    rows = rows[rows["job"] == job].drop(columns="job").drop_duplicates(["slide_id", "attempt", "processed_at"])
    return rows.sort_values(["slide_id", "attempt", "processed_at"], ignore_index=True)


def attempts_since(rows: pd.DataFrame, started: datetime) -> list[Attempt]:
    """The slides that a run has worked on, by name.

    Args:
        rows: of `ledger_rows`.
        started: when the run did, by the clock that wrote the ledger.
    """
    is_ours = rows["processed_at"] >= started
    before = _last(rows[~is_ours])
    return [
        Attempt(name, _how(before.get(name), row), row["status"], int(row["patches"]), int(row["positives"]))
        for name, row in _last(rows[is_ours]).items()
    ]


def still_failing(rows: pd.DataFrame, among: Iterable[str]) -> list[Failing]:
    """The slides whose last attempt failed, in this run or in one before, by name.

    Args:
        rows: of `ledger_rows`.
        among: slide_ids that count.
    """
    failed = {name for name, row in _last(rows).items() if row["status"] == "failed"} & set(among)
    histories = rows[rows["slide_id"].isin(failed)].groupby("slide_id", sort=True)
    return [_failing(str(name), _records(history)) for name, history in histories]


def _last(rows: pd.DataFrame) -> dict[str, Mapping[str, Any]]:
    return {row["slide_id"]: row for row in _records(rows.drop_duplicates("slide_id", keep="last"))}


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _how(before: Mapping[str, Any] | None, row: Mapping[str, Any]) -> How:
    if before is None:
        return "new"
    if before["fingerprint"] != row["fingerprint"]:
        return "changed"
    return "retried" if before["status"] == "failed" else "redone"


def _failing(name: str, history: list[dict[str, Any]]) -> Failing:
    """Args: history: of a slide, the oldest attempt first, the last one failed."""
    good = [place for place, row in enumerate(history) if row["status"] != "failed"]
    failures = history[good[-1] + 1 if good else 0 :]
    last = failures[-1]
    since = failures[0]["processed_at"].to_pydatetime()
    return Failing(name, str(last["error_type"] or "unknown"), str(last["error"] or "no reason"), len(failures), since)
