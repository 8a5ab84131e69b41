"""From patches to slides: each slide's own table row, and one score per slide.

A slide is positive where any of its patches is. Its score is the mean of its `TOP` highest probabilities: a small
metastasis fills few patches, so a mean over all would drown it, and a single patch may err.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.metrics import area_under_roc, confusion

TOP: Final = 10  # patches whose mean probability is a slide's score; all where it has fewer


@dataclass(frozen=True)
class ScoredPatches:
    """What a model says about some patches; arrays in the same order.

    Attributes:
        slide_ids: (n,) str, the slide each patch is from.
        labels: (n,) int32 of 0 and 1, or of 0 to K - 1.
        probabilities: (n,) float32 of the positive class; of more than two classes (n, K), one for each.
    """

    slide_ids: NDArray[np.str_]
    labels: NDArray[np.int32]
    probabilities: NDArray[np.float32]

    @property
    def slides(self) -> list[str]:
        """Names of the slides, sorted."""
        return [str(name) for name in np.unique(self.slide_ids)]


@dataclass(frozen=True)
class SlideRow:
    """One slide of a split; also a line of `slides.csv`.

    Attributes:
        slide_id, split: which slide.
        patches, positives: how many were judged, and how many of them are positive.
        mean_probability, max_probability: over its patches.
        score: mean of its `TOP` highest probabilities.
        auc: within the slide; None where it has one class only.
        sensitivity, specificity: at the threshold; None where there is nothing to find, or to leave alone.
    """

    slide_id: str
    split: str
    patches: int
    positives: int
    mean_probability: float
    max_probability: float
    score: float
    auc: float | None
    sensitivity: float | None
    specificity: float | None

    @property
    def positive(self) -> bool:
        """Whether any patch is."""
        return self.positives > 0


def by_slide(patches: ScoredPatches) -> Iterator[tuple[str, ScoredPatches]]:
    """Each slide with its patches, slides sorted by name; memory: one more copy of the arrays."""
    order = np.argsort(patches.slide_ids, kind="stable")
    names, starts = np.unique(patches.slide_ids[order], return_index=True)
    for name, mine in zip(names, np.split(order, starts[1:]), strict=True):
        yield str(name), ScoredPatches(patches.slide_ids[mine], patches.labels[mine], patches.probabilities[mine])


def slide_score(probabilities: NDArray[np.float32]) -> float:
    """Mean of the `TOP` highest of (n,) probabilities, of all where there are fewer."""
    return float(np.sort(probabilities)[-TOP:].mean(dtype=np.float64))


def slide_rows(patches: ScoredPatches, split: str, threshold: float) -> list[SlideRow]:
    """One row per slide, sorted by name.

    Args:
        patches: of one split.
        split: its name.
        threshold: from which a probability counts as positive.
    """
    return [_row(name, split, mine, threshold) for name, mine in by_slide(patches)]


def slide_auc(rows: Iterable[SlideRow]) -> float | None:
    """Area under the ROC curve of the slides' scores; None where they are of one class only."""
    pairs = [(row.positive, row.score) for row in rows]
    if len({positive for positive, _ in pairs}) < 2:
        return None
    return area_under_roc(*zip(*pairs, strict=True))


def slide_csv(rows: Iterable[SlideRow]) -> str:
    """The rows as CSV with a header; what is not defined stays empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(SlideRow)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values = asdict(row)
        writer.writerow({name: f"{it:.6f}" if isinstance(it, float) else it for name, it in values.items()})
    return text.getvalue()


def _row(name: str, split: str, mine: ScoredPatches, threshold: float) -> SlideRow:
    counts = confusion(mine.labels, mine.probabilities, threshold)
    positives = counts.true_positives + counts.false_negatives
    negatives = counts.true_negatives + counts.false_positives
    return SlideRow(
        slide_id=name,
        split=split,
        patches=positives + negatives,
        positives=positives,
        mean_probability=float(mine.probabilities.mean(dtype=np.float64)),
        max_probability=float(mine.probabilities.max()),
        score=slide_score(mine.probabilities),
        auc=area_under_roc(mine.labels, mine.probabilities) if positives and negatives else None,
        sensitivity=counts.true_positives / positives if positives else None,
        specificity=counts.true_negatives / negatives if negatives else None,
    )
