"""From the ledger to the summary of a run."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cluster.errors import ExitCode
from cluster.our_version import our_version
from cluster.storage import Store
from inference.refreshing.attempts import Attempt, attempts_since, ledger_rows, still_failing
from inference.refreshing.run_summary import FailedSlide, RunSummary, ScoredSlide, WaitingSlide
from inference.refreshing.without_secrets import without_secrets
from preprocessing.ledger import Job, pending
from preprocessing.recipe import Recipe
from preprocessing.slide_entry import SlideEntry

HIGHEST: Final = 10  # slides with the highest scores
NAMES: Final = 100  # of slides that are gone
_SCORE: Final = "slide_scores/{}.parquet"
_READERS: Final = 8  # threads; the files are small and may be far away


@dataclass(frozen=True)
class RunFacts:
    """What a run is, before it is known what became of it.

    Attributes:
        kind: which command.
        command: its line.
        source: of the slides.
        folder: URI of the model's results.
        recipe: how.
        model_id: of the model.
        inference_id: what the ledger compares with earlier runs, see `inference.job`.
        started: with the time zone.
        tiles: URI of the patch table, where the run cuts.
    """

    kind: Literal["refresh", "infer"]
    command: str
    source: str
    folder: str
    recipe: Recipe
    model_id: str
    inference_id: str
    started: datetime
    tiles: str | None = None


@dataclass(frozen=True)
class RunEnd:
    """How a run ended, beside what the ledger says.

    Attributes:
        infer_seconds: of judging.
        waiting: slides left for the next run.
        stopped: why it ended early; None where it did not.
        code: of the command, where it ended early.
    """

    infer_seconds: float = 0.0
    waiting: tuple[WaitingSlide, ...] = ()
    stopped: str | None = None
    code: ExitCode = ExitCode.GOOD
    ended: datetime = field(default_factory=lambda: datetime.now(UTC))


def summarize(facts: RunFacts, entries: Sequence[SlideEntry], end: RunEnd) -> RunSummary:
    """Put the summary of a run together from the ledger.

    Args:
        facts: of the run.
        entries: all slides there are, with or without those that wait; none where that is not known.
        end: how it ended.

    Returns:
        The summary. Memory: the ledger's rows, about 1 kB each, and the scores of the slides of this run.
    """
    store = Store(facts.folder)
    rows = ledger_rows(store, "infer")
    ours = attempts_since(rows, facts.started)
    cut = [] if facts.tiles is None else attempts_since(ledger_rows(Store(facts.tiles), "tile"), facts.started)
    waits = {slide.slide_id for slide in end.waiting}
    there = [entry for entry in entries if entry.slide_id not in waits]
    names = {entry.slide_id for entry in there}
    failed = _failed(facts, rows, names)
    done = _names(ours, "done")
    scores, engines = _scores(store, done)
    last = rows.drop_duplicates("slide_id", keep="last")
    left = {entry.slide_id for entry in pending(there, last, facts.inference_id)} - {one.slide_id for one in ours}
    gone = sorted(set(rows["slide_id"]) - names - waits) if facts.kind == "refresh" and entries else []
    seconds = (end.ended - facts.started).total_seconds()
    windows = sum(attempt.rows for attempt in ours)
    return RunSummary(
        histospark=our_version() or "unknown",
        kind=facts.kind,
        command=without_secrets(facts.command),
        slides=without_secrets(facts.source),
        out=without_secrets(store.uri),
        recipe=facts.recipe.name,
        recipe_id=facts.recipe.recipe_id,
        model_id=facts.model_id,
        threshold=facts.recipe.inference.threshold,
        engine=", ".join(engines) or None,
        started=facts.started,
        ended=end.ended,
        seconds=round(seconds, 3),
        hours=round(seconds / 3600, 4),
        infer_seconds=round(end.infer_seconds, 3),
        new=_names(ours, "new"),
        changed=_names(ours, "changed"),
        retried=_names(ours, "retried"),
        redone=_names(ours, "redone"),
        done=done,
        empty=_names(ours, "empty"),
        failed=failed,
        waiting=end.waiting,
        skipped=len(there) - len(left) - len(ours),
        left=len(left),
        gone=len(gone),
        gone_names=tuple(gone[:NAMES]),
        windows=windows,
        positives=sum(attempt.positives for attempt in ours),
        windows_per_second=round(windows / end.infer_seconds, 1) if windows and end.infer_seconds else None,
        tiled=sum(attempt.status != "failed" for attempt in cut),
        patches=sum(attempt.rows for attempt in cut),
        highest=tuple(sorted(scores, key=lambda one: (-one.score, one.slide_id))[:HIGHEST]),
        stopped=None if end.stopped is None else without_secrets(end.stopped),
        exit_code=int(_code(failed) if end.stopped is None else end.code),
    )


def _code(failed: Sequence[FailedSlide]) -> ExitCode:
    return ExitCode.SOME_SLIDES_FAILED if failed else ExitCode.GOOD


def _names(attempts: Sequence[Attempt], what: str) -> tuple[str, ...]:
    """The slides that were worked on for a reason, or ended in a way."""
    return tuple(attempt.slide_id for attempt in attempts if what in (attempt.how, attempt.status))


def _failed(facts: RunFacts, judged: pd.DataFrame, names: set[str]) -> tuple[FailedSlide, ...]:
    """What fails as things stand: in judging, and where the run cuts, in cutting."""
    rows: dict[Job, pd.DataFrame] = {"infer": judged}
    if facts.tiles is not None:
        rows["tile"] = ledger_rows(Store(facts.tiles), "tile")
    found = [
        FailedSlide(
            slide_id=failing.slide_id,
            job=job,
            error_type=failing.error_type,
            reason=without_secrets(failing.error),
            attempts=failing.attempts,
            since=failing.since,
        )
        for job, of_job in rows.items()
        for failing in still_failing(of_job, names)
    ]
    return tuple(sorted(found, key=lambda failed: (failed.slide_id, failed.job)))


def _scores(store: Store, names: Sequence[str]) -> tuple[list[ScoredSlide], list[str]]:
    """Scores of slides, and the engines that computed them."""

    def score(name: str) -> tuple[ScoredSlide, str]:
        row = pq.read_table(pa.BufferReader(store.read_bytes(_SCORE.format(name)))).to_pylist()[0]
        known = {key: row[key] for key in ("slide_id", "score", "lesions", "positive_area_mm2")}
        return ScoredSlide(**known), row.get("engine") or ""

    with ThreadPoolExecutor(_READERS) as pool:
        found = list(pool.map(score, names))
    return [scored for scored, _ in found], sorted({engine for _, engine in found if engine})
