"""The figures of a report, by matplotlib, in colors that color-blind people tell apart (Okabe and Ito 2008).

Sets differ in line style as well, so that the figures survive a gray printer.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.calibration import BINS, Reliability
from training.evidence import Evidence
from training.metrics import BinaryMetrics, RocCurve

_Style = dict[str, Any]

_COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_STYLES: Final = ("-", (0, (5, 2)), (0, (1, 1)))  # 3 and 7 share no divisor: 21 sets look different
_SIDE: Final = 5.2  # of a square plot, inches
_GUIDE: Final[_Style] = {"color": "0.6", "linestyle": (0, (2, 2)), "linewidth": 1}


def roc_figure(title: str, metrics: Mapping[str, BinaryMetrics], curves: Mapping[str, RocCurve]) -> Figure:
    """The ROC curves in one plot, with a dot where each threshold cuts.

    Args:
        title: above the plot.
        metrics, curves: by the name of the set.
    """
    figure, axes = _square(title, "1 - specificity", "sensitivity")
    axes.plot([0, 1], [0, 1], **_GUIDE)
    for (name, curve), style in zip(curves.items(), _styles(), strict=False):
        it = metrics[name]
        label = f"{name}: AUC {it.auc:.4f}, {it.positives:,} of {it.patches:,} positive"
        axes.plot(curve.false_positive_rate, curve.true_positive_rate, label=label, **style)
        axes.plot(1 - it.specificity, it.sensitivity, "o", color=style["color"])
    axes.legend(loc="lower right", fontsize=9)
    return figure


def precision_recall_figure(
    title: str, metrics: Mapping[str, BinaryMetrics], evidence: Mapping[str, Evidence]
) -> Figure:
    """The precision-recall curves, with a dot where each threshold cuts and a line at the share of positives.

    Args:
        title: above the plot.
        metrics, evidence: by the name of the set; those with evidence are drawn.
    """
    figure, axes = _square(title, "recall (sensitivity)", "precision")
    for (name, it), style in zip(evidence.items(), _styles(), strict=False):
        curve, cut = it.curve, metrics[name]
        share = cut.positives / cut.patches
        label = f"{name}: average precision {curve.average_precision:.4f}, by chance {share:.4f}"
        axes.step(curve.recall, curve.precision, where="post", label=label, **style)
        axes.plot(cut.recall, cut.precision, "o", color=style["color"])
        axes.axhline(share, **{**_GUIDE, "color": style["color"]})
    axes.legend(loc="lower left", fontsize=9)
    return figure


def calibration_figure(title: str, evidence: Mapping[str, Evidence]) -> Figure:
    """Reliability diagram of all sets, above the number of patches in each bin.

    Args:
        title: above the plot.
        evidence: by the name of the set.
    """
    figure = Figure(figsize=(_SIDE, 1.35 * _SIDE), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    upper.plot([0, 1], [0, 1], **_GUIDE)
    for place, ((name, it), style) in enumerate(zip(evidence.items(), _styles(), strict=False)):
        label = f"{name}: expected calibration error {it.reliability.expected_error:.4f}"
        upper.plot(*_filled_bins(it.reliability), marker="o", label=label, **style)
        width = 0.8 / BINS / len(evidence)
        left = np.arange(BINS) / BINS + 0.1 / BINS + place * width
        lower.bar(left, it.reliability.patches, width, align="edge", color=style["color"])
    upper.set(title=title, ylabel="share that is positive", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    upper.legend(loc="best", fontsize=9)
    # Counts span decades; a wholly logarithmic axis would hide bins of one patch.
    most = max((it.reliability.patches.max() for it in evidence.values()), default=1)
    lower.set(xlabel="predicted probability", ylabel="patches in the bin", yscale="symlog", ylim=(0, 2 * most))
    for axes in (upper, lower):
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    return figure


def confusion_figure(title: str, metrics: Mapping[str, BinaryMetrics], evidence: Mapping[str, Evidence]) -> Figure:
    """One confusion matrix per set: counts, and shares of the actual class, which also color the cells.

    Args:
        title: above the panels.
        metrics, evidence: by the name of the set; those with evidence are drawn.
    """
    figure = Figure(figsize=(3.6 * max(len(evidence), 1) + 0.4, 3.9), layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(1, len(evidence), squeeze=False)[0]
    for axes, (name, it) in zip(panels, evidence.items(), strict=True):
        counted = it.confusion
        counts = np.array(
            [
                [counted.true_negatives, counted.false_positives],
                [counted.false_negatives, counted.true_positives],
            ]
        )
        _matrix(axes, counts, ("negative", "positive"))
        axes.set_title(f"{name}, threshold {metrics[name].threshold:.4f}", fontsize=10)
    return figure


def class_roc_figure(title: str, curves: Mapping[str, Mapping[str, RocCurve]]) -> Figure:
    """One panel per set with the ROC curve of each class against the rest.

    Args:
        title: above the panels.
        curves: by the name of the set and of the class.
    """
    figure = Figure(figsize=(_SIDE * len(curves), _SIDE + 0.4), layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (name, of) in zip(panels, curves.items(), strict=True):
        axes.plot([0, 1], [0, 1], **_GUIDE)
        for (kind, curve), style in zip(of.items(), _styles(), strict=False):
            axes.plot(curve.false_positive_rate, curve.true_positive_rate, label=kind, **style)
        axes.set(title=name, xlabel="1 - specificity", ylabel="sensitivity", aspect="equal")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.grid(color="0.92")
        axes.legend(loc="lower right", fontsize=9)
    return figure


def class_confusion_figure(title: str, counts: Mapping[str, NDArray[np.int64]], classes: Sequence[str]) -> Figure:
    """One K x K confusion matrix per set: counts, and shares of the actual class, which also color the cells.

    Args:
        title: above the panels.
        counts: (K, K), rows actual and columns judged, by the name of the set.
        classes: K names.
    """
    side = max(3.6, 0.9 * len(classes) + 1.2)
    figure = Figure(figsize=(side * len(counts) + 0.4, side + 0.3), layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(1, len(counts), squeeze=False)[0]
    for axes, (name, mine) in zip(panels, counts.items(), strict=True):
        _matrix(axes, mine, classes)
        axes.set_title(name, fontsize=10)
        axes.tick_params(axis="x", rotation=45)
    return figure


def _matrix(axes: Axes, counts: NDArray[np.int64], classes: Sequence[str]) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        color = "black" if share > 0.5 else "white"
        text = f"{counts[row, column]:,}\n{share:.1%}"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=10 if len(classes) < 5 else 8)
    ticks = range(len(classes))
    axes.set(xticks=ticks, yticks=ticks, xticklabels=classes, yticklabels=classes, xlabel="judged", ylabel="actual")


def _filled_bins(reliability: Reliability) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    filled = reliability.patches > 0
    return reliability.mean_probability[filled], reliability.positive_share[filled]


def _square(title: str, xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_SIDE, _SIDE), layout="constrained")  # not pyplot, which looks for a display
    axes = figure.subplots()
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.grid(color="0.92")
    return figure, axes


def _styles() -> Iterator[_Style]:
    for color, style in zip(cycle(_COLORS), cycle(_STYLES), strict=False):
        yield {"color": color, "linestyle": style, "linewidth": 2}
