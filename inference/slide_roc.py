"""Whether a slide holds tumor: the ROC of the slide scores, as CAMELYON16 ranks whole slides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from cluster.words import counted
from training.intervals import (
    FEWEST,
    Interval,
    draw_counts,
    percentile_interval,
    resampled_aucs,
    sample_note,
    slide_draws,
)
from training.metrics import RocCurve, roc_points


@dataclass(frozen=True)
class SlideRoc:
    """The curve over slides with its figures.

    Attributes:
        auc, curve: None where the slides are of one class.
        interval: None where too few slides are of each class.
        note: how sure it is, or why there is no number; one sentence.
    """

    auc: float | None
    curve: RocCurve | None
    interval: Interval | None
    note: str


def slide_roc(
    positive: Sequence[bool], scores: Sequence[float], seed: int, words: str = "{} with tumor and {} without"
) -> SlideRoc:
    """The ROC of slide scores against truth, with a 95 % interval by resampling slides.

    Args:
        positive: whether each slide holds tumor; in an order that does not depend on chance, as by name.
        scores: of the same slides.
        seed: of the recipe.
        words: how many are positive and how many are not, with a place `{}` for each number.
    """
    holds, values = np.array(positive, bool), np.array(scores, np.float64)
    classes = [int(holds.sum()), int((~holds).sum())]
    if 0 in classes:
        return SlideRoc(None, None, None, f"no slide AUC: {counted(len(holds), 'slide')}, {words.format(*classes)}")
    curve = roc_points(holds, values)
    auc = float(roc_auc_score(holds, values))
    note = sample_note(len(holds), classes, words)
    if min(classes) < FEWEST:
        return SlideRoc(auc, curve, None, note)
    counts = draw_counts(slide_draws(len(holds), seed))
    drawn = resampled_aucs(np.arange(len(holds)), holds, values, counts)
    return SlideRoc(auc, curve, percentile_interval(drawn), note)
