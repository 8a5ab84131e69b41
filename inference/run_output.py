"""What `infer` left of each slide for `evaluate`: how it ended, its score, its detections."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from cluster.errors import UsageError
from cluster.storage import Store
from inference.camelyon16 import Detections
from inference.run_folder import CARD
from inference.slide_files import LESION_COLUMNS, SCORE
from preprocessing import ledger
from preprocessing.slide_entry import SlideEntry
from preprocessing.splits import matches
from training.card import ModelCard

Why = Literal["asked", "not inferred", "failed", "unreadable", "no truth", "no mpp"]

AMISS: Final = ("failed", "unreadable")
"""What a scheduler is told of: these slides should have been judged."""

_AGAIN: Final = "run histospark infer again until it is done"


@dataclass(frozen=True)
class LeftOut:
    """A slide that is in no number, or not in those of lesions and slides.

    Attributes:
        slide_id: which.
        why: in a word.
        reason: for people.
    """

    slide_id: str
    why: Why
    reason: str


@dataclass(frozen=True, eq=False)
class SlideOutput:
    """What the model made of one slide.

    Attributes:
        entry: the slide.
        score: of the slide; 0, the lowest there is, where it was empty.
        detections: the lesions found.
        empty: whether the slide was read well and held nothing to judge; it counts as one without detections.
    """

    entry: SlideEntry
    score: float
    detections: Detections
    empty: bool


@dataclass(frozen=True)
class RunOutput:
    """The slides of a source, as far as a model has judged them.

    Attributes:
        done: those with a result, in the order of the source.
        failed: those that were tried in vain; a slide that failed is not one without detections.
        left_out: those that are not `done`, with the reason.
    """

    done: tuple[SlideOutput, ...]
    failed: tuple[SlideEntry, ...]
    left_out: tuple[LeftOut, ...]


def run_to_judge(
    store: Store, entries: Sequence[SlideEntry], leave_out: Iterable[str] = ()
) -> tuple[ModelCard, RunOutput]:
    """The model of a run, and what it made of some slides, of one at least; arguments and errors as for `read_run`.

    Raises:
        UsageError: there is none, too.
    """
    card = ModelCard.model_validate_json(store.read_bytes(CARD))
    run = read_run(store, entries, card.model_id, leave_out)
    if not run.done:
        first = run.left_out[0]
        raise UsageError(f"no slide to evaluate in {store.uri}: {first.slide_id}: {first.reason}")
    return card, run


def read_run(store: Store, entries: Sequence[SlideEntry], model_id: str, leave_out: Iterable[str] = ()) -> RunOutput:
    """Find the results of some slides.

    Args:
        store: output folder of `infer`.
        entries: of the inventory.
        model_id: of the model that is evaluated.
        leave_out: patterns (shell style) of slide ids.

    Returns:
        Memory: the ledger (see `ledger.latest`), and about 100 bytes a detection.

    Raises:
        UsageError: results of several models or settings side by side, a damaged table, or `lesions.csv` is not of
            the same run as the scores.
    """
    patterns = tuple(leave_out)
    asked = [entry for entry in entries if matches(entry.slide_id, patterns)]
    wanted = [entry for entry in entries if not matches(entry.slide_id, patterns)]
    rows = {row["slide_id"]: row for row in ledger.latest(store, "infer").to_dict("records")}
    known = [entry for entry in wanted if entry.slide_id in rows]
    failed = tuple(entry for entry in known if rows[entry.slide_id]["status"] == "failed")
    good = [entry for entry in known if rows[entry.slide_id]["status"] != "failed"]
    _refuse_mixture({entry.slide_id: rows[entry.slide_id]["recipe_id"] for entry in good}, model_id, store.uri)
    found = read_detections(store)
    done = tuple(_output(store, entry, rows[entry.slide_id]["status"] == "empty", found) for entry in good)
    left_out = (
        *(LeftOut(entry.slide_id, "asked", "left out as asked") for entry in asked),
        *(LeftOut(e.slide_id, "not inferred", f"not inferred; {_AGAIN}") for e in wanted if e.slide_id not in rows),
        *(LeftOut(e.slide_id, "failed", f"infer failed: {rows[e.slide_id]['error']}") for e in failed),
    )
    return RunOutput(done, failed, left_out)


def read_detections(store: Store) -> dict[str, Detections]:
    """The detections of `lesions.csv`, by slide.

    Raises:
        UsageError: no such file, or no numbers in it.
    """
    if not store.exists("lesions.csv"):
        raise UsageError(f"{store.uri} holds no lesions.csv, which infer writes at its end; {_AGAIN}")
    numbers = list(LESION_COLUMNS[1:])
    try:
        text = io.BytesIO(store.read_bytes("lesions.csv"))
        # No cell is taken for missing: a slide may be called NA.
        table = pd.read_csv(text, dtype=str, keep_default_na=False)[list(LESION_COLUMNS)]
        table = table.astype(dict.fromkeys(numbers, np.float64))
    except (ValueError, KeyError) as error:
        raise UsageError(f"lesions.csv of {store.uri} is damaged ({error}); {_AGAIN}") from error
    if not (np.isfinite(table[numbers]).all(axis=None) and (table["probability"] >= 0).all()):
        raise UsageError(f"lesions.csv of {store.uri} holds places or probabilities that are none; {_AGAIN}")
    return {
        str(slide_id): Detections(rows[["x", "y"]].to_numpy(), rows["probability"].to_numpy())
        for slide_id, rows in table.groupby("slide_id")
    }


def _refuse_mixture(recipe_of: Mapping[str, str], model_id: str, uri: str) -> None:
    """Results of two models, or of two settings, are no result."""
    first = next(iter(recipe_of.items()), None)
    for slide_id, recipe_id in recipe_of.items():
        if not recipe_id.endswith(f"-{model_id}"):
            raise UsageError(f"{slide_id} in {uri} was judged by another model than {model_id}; {_AGAIN}")
        if first is not None and recipe_id != first[1]:
            raise UsageError(f"{first[0]} and {slide_id} in {uri} were judged with different settings; {_AGAIN}")


def _output(store: Store, entry: SlideEntry, empty: bool, found: Mapping[str, Detections]) -> SlideOutput:
    detections = found.get(entry.slide_id, Detections.none())
    if empty:
        return SlideOutput(entry, 0.0, Detections.none(), True)
    with store.fs.open(store.path(SCORE.format(entry.slide_id)), "rb") as file:
        row = pq.read_table(file, columns=["score", "lesions"]).to_pylist()[0]
    if row["lesions"] != len(detections.scores):
        raise UsageError(
            f"lesions.csv of {store.uri} has {len(detections.scores)} lesions of {entry.slide_id}, its slide score "
            f"speaks of {row['lesions']}: a run was broken off; {_AGAIN}"
        )
    return SlideOutput(entry, float(row["score"]), detections, False)
