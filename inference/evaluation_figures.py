"""The figures of an evaluation: FROC of the lesions, ROC of the slides."""

from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inference.froc import RATES, Froc, FrocCurve
from inference.slide_roc import SlideRoc
from training.intervals import COVERAGE, Interval

_BLUE: Final = "#0072B2"
_GUIDE: Final[dict[str, Any]] = {"color": "0.6", "linestyle": (0, (2, 2)), "linewidth": 1}
_FIRST, _LAST = 1 / 8, 16  # of the axis of false positives: an octave around the published rates


def froc_figure(title: str, curve: FrocCurve, found: Froc) -> Figure:
    """Sensitivity over false positives per slide, on an axis of octaves, with the published operating points.

    Args:
        title: above the plot.
        curve: to draw.
        found: for the intervals at the operating points.
    """
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")  # not pyplot, which looks for a display
    axes = figure.subplots()
    rates = np.geomspace(_FIRST, _LAST, 2000)
    end = float(curve.false_positives[-1])
    axes.plot(rates, np.where(rates <= end, curve.at(rates), np.nan), color=_BLUE, linewidth=2, label=_score(found))
    if end < _LAST:
        beyond = rates[rates >= min(end, _LAST)]
        label = f"no more detections ({end:.3g} false positives per slide)"
        axes.plot(beyond, curve.at(beyond), color=_BLUE, linewidth=1.5, linestyle=(0, (1, 1)), label=label)
    _operating_points(axes, curve, found)
    axes.set_xscale("log", base=2)
    axes.set(title=title, xlabel="false positives per slide", ylabel="sensitivity (share of the lesions found)")
    axes.set(xlim=(_FIRST, _LAST), ylim=(-0.02, 1.02), xticks=RATES, xticklabels=["1/4", "1/2", "1", "2", "4", "8"])
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.legend(loc="best", fontsize=9)
    return figure


def slide_roc_figure(title: str, roc: SlideRoc) -> Figure:
    """The ROC of slides; `roc.curve` is there.

    Args:
        title: above the plot.
        roc: the curve with its figures.
    """
    figure = Figure(figsize=(5.2, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], **_GUIDE)
    if roc.curve is not None and roc.auc is not None:
        label = f"slide AUC {roc.auc:.4f}{_brackets(roc.interval)}"
        axes.plot(roc.curve.false_positive_rate, roc.curve.true_positive_rate, color=_BLUE, linewidth=2, label=label)
        axes.legend(loc="lower right", fontsize=9)
    axes.set(title=title, xlabel="share of negative slides called positive", ylabel="share of positive slides found")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    return figure


def _operating_points(axes: Axes, curve: FrocCurve, found: Froc) -> None:
    heights = curve.at()
    if found.at_rates:
        low = [found.at_rates[rate].low for rate in RATES]
        high = [found.at_rates[rate].high for rate in RATES]
        axes.vlines(RATES, low, high, color=_BLUE, linewidth=1.2, label=f"{COVERAGE:.0%} interval over slides")
    axes.plot(RATES, heights, "o", color=_BLUE)
    for rate, height in zip(RATES, heights, strict=True):
        place, side = ((5, -12), "left") if height > 0.9 else ((-5, 6), "right")  # where the curve is not
        axes.annotate(f"{height:.2f}", (rate, height), place, textcoords="offset points", fontsize=8, ha=side)


def _score(found: Froc) -> str:
    score = "-" if found.curve is None else f"{found.curve.score:.4f}"
    return f"FROC {score}{_brackets(found.interval)}"


def _brackets(interval: Interval | None) -> str:
    return "" if interval is None else f" ({interval.low:.3f} to {interval.high:.3f})"
