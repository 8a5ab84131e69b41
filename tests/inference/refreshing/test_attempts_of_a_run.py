"""What a ledger written by hand says of a run."""

from datetime import UTC, datetime, timedelta

import pandas as pd

from inference.refreshing.attempts import Attempt, Failing, attempts_since, still_failing

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
TONIGHT = FIRST + timedelta(days=3)


def ledger(*rows: tuple[str, str, str, int]) -> pd.DataFrame:
    """Of slide, fingerprint, status, day; the attempts of a slide in the order of their days."""
    columns = ["slide_id", "fingerprint", "status", "day"]
    frame = pd.DataFrame(rows, columns=columns).sort_values(["slide_id", "day"], ignore_index=True)
    frame["attempt"] = frame.groupby("slide_id").cumcount() + 1
    frame["processed_at"] = [FIRST + timedelta(days=day) for day in frame["day"]]
    return frame.assign(error_type="ReadError", error="why", patches=10, positives=3, recipe_id="r")


LEDGER = ledger(
    *[("healed", "1", "failed", 0), ("healed", "1", "done", 3)],
    *[("changed", "1", "failed", 0), ("changed", "2", "empty", 3)],
    *[("settings", "1", "done", 1), ("settings", "1", "done", 3)],
    *[("new", "1", "done", 3)],
    *[("before", "1", "done", 2)],
    *[("again", "1", "failed", 0), ("again", "1", "done", 1), ("again", "2", "failed", 2), ("again", "2", "failed", 3)],
    *[("not reached", "1", "failed", 1)],
    *[("elsewhere", "1", "failed", 3)],
)


def test_why_each_slide_was_worked_on_tonight() -> None:
    found = {attempt.slide_id: (attempt.how, attempt.status) for attempt in attempts_since(LEDGER, TONIGHT)}
    assert found == {
        "again": ("retried", "failed"),
        "changed": ("changed", "empty"),
        "elsewhere": ("new", "failed"),
        "healed": ("retried", "done"),
        "new": ("new", "done"),
        "settings": ("redone", "done"),
    }
    assert attempts_since(LEDGER, TONIGHT)[-2] == Attempt("new", "new", "done", 10, 3)


def test_failures_in_a_row_are_counted_since_the_last_good_attempt() -> None:
    among = set(LEDGER["slide_id"]) - {"elsewhere"}
    assert still_failing(LEDGER, among) == [
        Failing("again", "ReadError", "why", 2, FIRST + timedelta(days=2)),
        Failing("not reached", "ReadError", "why", 1, FIRST + timedelta(days=1)),
    ]


def test_empty_ledger_says_nothing() -> None:
    assert attempts_since(LEDGER[:0], TONIGHT) == []
    assert still_failing(LEDGER[:0], {"a"}) == []
