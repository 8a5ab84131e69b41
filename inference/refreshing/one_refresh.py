"""One refresh of one model's results: look, cut, judge, tell; alone, and nothing dear where nothing is new."""

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from pyspark.sql import SparkSession

from cluster.errors import ExitCode, UsageError
from cluster.lock import output_lock, refuse_locked
from cluster.storage import Store
from inference.engines.forms import checked_forms
from inference.job import inference_id, refuse_other_geometry, run_inference
from inference.predict import PREDICTIONS
from inference.refreshing.reported import reason_of, tell_in_spite
from inference.refreshing.run_summary import RunSummary, WaitingSlide
from inference.refreshing.settling import Look, Looked, State, Waiting, changed_since, look_twice
from inference.refreshing.summarize import RunEnd, RunFacts, summarize
from inference.refreshing.summary_files import HISTORY, last_summary, write_summary
from inference.run_folder import run_folder
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.ledger import Job, latest, pending
from preprocessing.publish import SlideTable
from preprocessing.recipe import Recipe
from preprocessing.slide_entry import SlideEntry
from training.card import load_card

log = logging.getLogger("histospark")

TILES: Final = "tiles"
"""Folder of the patch table inside of the output."""


class SteppedAsideError(UsageError):
    """Another job works on the output; this one leaves it alone. One line that names it."""


@dataclass(frozen=True)
class Order:
    """What a refresh is to do.

    Attributes:
        recipe: how to cut and to judge.
        slides: folder, glob or manifest.
        model: the `.keras` file, its card beside it.
        out: URI of the output folder.
        command: the command line, for the summary.
        wave: slides worked on together.
        settle: seconds between two looks at files that are new or changed.
    """

    recipe: Recipe
    slides: str
    model: Path
    out: str
    command: str = "histospark refresh"
    wave: int = 32
    settle: float = 60.0


@dataclass(frozen=True)
class _Place:
    """A table with the ledger of the job that fills it.

    Attributes:
        store: its folder.
        table: its name.
        job: that fills it.
        settled: what the ledger compares with earlier runs.
    """

    store: Store
    table: str
    job: Job
    settled: str

    def attempted(self) -> frozenset[State]:
        """Slides as the last attempt met them."""
        last = latest(self.store, self.job)
        return frozenset(zip(last["slide_id"], last["fingerprint"], strict=True))

    def has_work(self, entries: Sequence[SlideEntry]) -> bool:
        """Whether a run would do anything: slides that are pending or lost, or a job that died before its end."""
        last = latest(self.store, self.job)
        done = set(last.loc[last["status"] == "done", "slide_id"])
        lost = {entry.slide_id for entry in entries} & done - SlideTable(self.store, self.table).published().keys()
        return bool(lost or pending(entries, last, self.settled) or self.store.folders("_lock-*.json"))


def refresh_once(
    order: Order,
    session: Callable[[], AbstractContextManager[SparkSession]],
    sleep: Callable[[float], None] = time.sleep,
) -> RunSummary:
    """Do what is new in a folder of slides and write the summary.

    Args:
        order: what to do.
        session: opens a Spark session; only called where there is work.
        sleep: waits for files to settle.

    Returns:
        The summary, also where nothing was new.

    Raises:
        SteppedAsideError: another refresh or `infer` of this model, or a `tile` of its patch table, is at work.
        UsageError, JobError: see `run_inference` and `inventory`; the summary tells it, where the folder is ours.
    """
    card = load_card(order.model)
    refuse_other_geometry(card, order.recipe)
    checked_forms(order.recipe.inference, order.model, card)
    folder = Store(run_folder(order.out, card.model_id))
    places = [_Place(folder, PREDICTIONS, "infer", inference_id(order.recipe, card.model_id))]
    if order.recipe.refresh.tile:
        tiles = Store(f"{Store(order.out).uri}/{TILES}")
        places.insert(0, _Place(tiles, "patches", "tile", order.recipe.recipe_id))
    facts = RunFacts(
        kind="refresh",
        command=order.command,
        source=order.slides,
        folder=folder.uri,
        recipe=order.recipe,
        model_id=card.model_id,
        inference_id=places[-1].settled,
        started=datetime.now(UTC),
        tiles=places[0].store.uri if order.recipe.refresh.tile else None,
    )
    _warn_of_moving_draws(order.recipe)
    with _alone(Store(f"{folder.uri}/{HISTORY}"), [place.store for place in places]):
        return _told(order, facts, places, session, sleep)


def _told(
    order: Order,
    facts: RunFacts,
    places: Sequence[_Place],
    session: Callable[[], AbstractContextManager[SparkSession]],
    sleep: Callable[[float], None],
) -> RunSummary:
    """Look, work and tell, however it ends."""
    look: Look = partial(inventory, order.slides, order.recipe.tiling, order.recipe.seed)
    last = last_summary(facts.folder)
    looked = Looked(())
    try:
        known = frozenset[State]().union(*(place.attempted() for place in places))
        waited = frozenset((slide.slide_id, slide.fingerprint) for slide in last.waiting) if last else frozenset()
        looked = look_twice(look, known, waited, order.settle, sleep)
        seconds = 0.0
        if (last and last.exit_code == ExitCode.FAILED) or any(place.has_work(looked.ready) for place in places):
            seconds = _work(order, looked.ready, places, session)
    except Exception as error:
        stopped = _as_stepped_aside(error, places)
        code = ExitCode.GOOD if isinstance(stopped, SteppedAsideError) else _code(stopped)
        waiting = _waiting(looked.waiting, last, facts)
        tell_in_spite(facts, looked.ready, RunEnd(waiting=waiting, stopped=reason_of(stopped), code=code))
        if stopped is error:
            raise
        raise stopped from error
    summary = summarize(facts, looked.ready, RunEnd(seconds, _waiting(looked.waiting, last, facts)))
    if summary.failed:  # what failed because its files were still coming is no failure
        late = changed_since(looked.ready, frozenset(slide.slide_id for slide in summary.failed), look)
        end = RunEnd(seconds, _waiting((*looked.waiting, *late), last, facts))
        summary = summarize(facts, looked.ready, end) if late else summary
    write_summary(summary, facts.folder)
    return summary


def _work(
    order: Order,
    entries: Sequence[SlideEntry],
    places: Sequence[_Place],
    session: Callable[[], AbstractContextManager[SparkSession]],
) -> float:
    """Cut, where the recipe says so, and judge; returns the seconds of judging."""
    with session() as spark:
        for place in places:
            if place.job == "tile":
                run_tiling(spark, order.recipe, entries, place.store.uri, order.wave)
        started = time.monotonic()
        run_inference(spark, order.recipe, entries, order.model, places[-1].store.uri, order.wave)
        return time.monotonic() - started


@contextmanager
def _alone(own: Store, others: Sequence[Store]) -> Iterator[None]:
    """Hold the lock of the refresh, unless another job is at work.

    It is another lock than that of the jobs inside, which each take their own.
    """
    for store in (own, *others):
        _step_aside(store)
    with ExitStack() as stack:
        try:
            stack.enter_context(output_lock(own, uuid.uuid4().hex[:12], "histospark refresh"))
        except UsageError:
            _step_aside(own)  # it came in between
            raise
        yield


def _step_aside(store: Store) -> None:
    try:
        refuse_locked(store)
    except UsageError as error:
        raise SteppedAsideError(str(error)) from error


def _as_stepped_aside(error: Exception, places: Sequence[_Place]) -> Exception:
    """A job that was refused as another had come in between has only stepped aside."""
    if isinstance(error, UsageError):
        try:
            for place in places:
                _step_aside(place.store)
        except SteppedAsideError as aside:
            return aside
    return error


def _code(error: Exception) -> ExitCode:
    return ExitCode.WRONG_USE if isinstance(error, UsageError) else ExitCode.FAILED


def _waiting(found: Sequence[Waiting], last: RunSummary | None, facts: RunFacts) -> tuple[WaitingSlide, ...]:
    """With the time since when each waits."""
    since = {slide.slide_id: slide.since for slide in last.waiting} if last else {}
    return tuple(
        WaitingSlide(
            slide_id=slide.slide_id,
            fingerprint=slide.fingerprint,
            reason=slide.reason,
            since=since.get(slide.slide_id, facts.started),
        )
        for slide in found
    )


def _warn_of_moving_draws(recipe: Recipe) -> None:
    moving = {
        "tiling.splits.stratified": recipe.tiling.splits.stratified,
        "tiling.sampling.max_normals_overall": recipe.tiling.sampling.max_normals_overall is not None,
    }
    for key in (key for key, is_set in moving.items() if is_set):
        log.warning("%s draws anew when slides come: slides that are done will count as changed", key)
