"""The summary of a run: what was found, what became of it, and what a person has to look at."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from preprocessing.ledger import Job


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class FailedSlide(_Told):
    """A slide whose last attempt failed; it is tried again in every run.

    Attributes:
        slide_id: which.
        job: what failed, cutting or judging.
        error_type, reason: the cause, in a word and for people.
        attempts: failures in a row.
        since: end of the first of these.
    """

    slide_id: str
    job: Job
    error_type: str
    reason: str
    attempts: int
    since: datetime


class WaitingSlide(_Told):
    """A slide that was left for the next run.

    Attributes:
        slide_id: which.
        fingerprint: of its files at the last look.
        reason: for people.
        since: start of the first run in a row in which it waits.
    """

    slide_id: str
    fingerprint: str
    reason: str
    since: datetime


class ScoredSlide(_Told):
    """A slide that was judged in this run.

    Attributes:
        slide_id: which.
        score: the highest probability.
        lesions: how many were found.
        positive_area_mm2: null where the slide does not tell its resolution.
    """

    slide_id: str
    score: float
    lesions: int
    positive_area_mm2: float | None


class RunSummary(_Told):
    """One run, for people and for programs; its JSON is this, field by field.

    Attributes:
        histospark: version.
        kind: which command.
        command: its line, logins and keys masked.
        slides, out: where from, and the folder of the model's results.
        recipe, recipe_id, model_id: what with.
        threshold: probability from which a window counts as positive.
        engine: what computed, where slides were judged; None else.
        started, ended: UTC.
        seconds, hours: between them.
        infer_seconds: of these, judging, from the first slide to the last.
        new, changed: slides worked on that were never seen before, or have other files than before.
        retried, redone: slides worked on that failed before, or were done with other settings (or lost their results).
        done, empty: slides of this run by their end.
        failed: slides that fail as things stand, also where this run did not come to them.
        waiting: slides whose files were not whole.
        skipped: slides that were done before.
        left: slides that should have been worked on and were not reached.
        gone, gone_names: slides with results here that are no longer in the folder (of a refresh); the first names.
        windows, positives: judged in this run, and those at or above the threshold.
        windows_per_second: over `infer_seconds`; null where nothing was judged.
        tiled, patches: slides and patches cut into the patch table, where the recipe says so.
        highest: slides of this run with the highest scores.
        stopped: why the run ended early; null where it did not.
        exit_code: of the command.
    """

    histospark: str
    kind: Literal["refresh", "infer"]
    command: str
    slides: str
    out: str
    recipe: str
    recipe_id: str
    model_id: str
    threshold: float
    engine: str | None
    started: datetime
    ended: datetime
    seconds: float
    hours: float
    infer_seconds: float
    new: tuple[str, ...]
    changed: tuple[str, ...]
    retried: tuple[str, ...]
    redone: tuple[str, ...]
    done: tuple[str, ...]
    empty: tuple[str, ...]
    failed: tuple[FailedSlide, ...]
    waiting: tuple[WaitingSlide, ...]
    skipped: int
    left: int
    gone: int
    gone_names: tuple[str, ...]
    windows: int
    positives: int
    windows_per_second: float | None
    tiled: int
    patches: int
    highest: tuple[ScoredSlide, ...]
    stopped: str | None
    exit_code: int
