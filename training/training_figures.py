"""The figures of a training: its curves, what other stains do to it, and the patches it errs on most."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from training.epochs import Epoch
from training.hardest import HardPatch
from training.stain_shift import AS_IT_IS, Robustness

_BLUE: Final = "#0072B2"
_RED: Final = "#D55E00"
_MARKERS: Final = (("o", "#0072B2"), ("s", "#D55E00"), ("^", "#009E73"), ("D", "#CC79A7"))
_BESIDE: Final = 2  # hard patches in one row of their figure


def curves_figure(epochs: Sequence[Epoch], best: int) -> Figure:
    """Loss and AUC over the epochs, of training and of validation; lines where a stage begins and at the best epoch.

    Args:
        epochs: all of them, at least one.
        best: number of the epoch whose model was kept.
    """
    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    numbers = [it.number for it in epochs]
    starts = [after.number - 0.5 for before, after in pairwise(epochs) if after.stage != before.stage]
    pairs = (
        ("loss (cross-entropy)", [it.loss for it in epochs], [it.validation_loss for it in epochs]),
        ("AUC", [it.auc for it in epochs], [it.validation_auc for it in epochs]),
    )
    for axes, (name, train, validation) in zip(figure.subplots(1, 2), pairs, strict=True):
        axes.plot(numbers, train, "o-", color=_BLUE, markersize=4, label="train (augmented)")
        axes.plot(numbers, validation, "s--", color=_RED, markersize=4, label="validation")
        axes.axvline(best, color="0.4", linestyle=(0, (1, 2)), linewidth=1.2, label="kept")
        for start in starts:
            axes.axvline(start, color="0.8", linewidth=1)
        axes.set(xlabel="epoch", ylabel=name, xlim=(0.5, numbers[-1] + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.legend(fontsize=9)
    return figure


def robustness_figure(robustness: Robustness) -> Figure:
    """Every measure under every shift of stain; lines at what it is without one.

    Args:
        robustness: of one split.
    """
    rows: list[tuple[str, Mapping[str, float]]] = [
        (AS_IT_IS.name, robustness.unshifted),
        *((shift.name, measures) for shift, measures in robustness.shifted),
    ]
    places = np.arange(len(rows))[::-1]
    figure = Figure(figsize=(7.2, 0.3 * len(rows) + 1.6), layout="constrained")
    axes = figure.subplots()
    for number, (name, value) in enumerate(robustness.unshifted.items()):
        marker, color = _MARKERS[number % len(_MARKERS)]
        axes.axvline(value, color=color, linewidth=1, alpha=0.5)
        values = [measures[name] for _, measures in rows]
        axes.plot(values, places, marker, color=color, label=name.replace("_", " "), alpha=0.85)
    axes.set(yticks=places, yticklabels=[name for name, _ in rows], xlabel="measure", xlim=(None, 1.02))
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=len(robustness.unshifted), fontsize=9)
    return figure


def hardest_figure(patches: Sequence[HardPatch], classes: Sequence[str]) -> Figure:
    """Each patch as it is and with its heatmap over it, at every scale.

    Args:
        patches: at least one; drawn row by row.
        classes: names by label.
    """
    scales = len(patches[0].images)
    rows = -(-len(patches) // _BESIDE)
    figure = Figure(figsize=(_BESIDE * 2 * scales * 1.35, rows * 1.85), layout="constrained")
    blocks = figure.subfigures(rows, _BESIDE, squeeze=False).ravel()
    for place, (block, it) in enumerate(zip(blocks, patches, strict=False), 1):
        block.suptitle(described(place, it, classes), fontsize=7)
        cells = block.subplots(1, 2 * scales, squeeze=False)[0]
        for scale, (image, heatmap) in enumerate(zip(it.images, it.heatmaps, strict=True)):
            _picture(cells[2 * scale], image, f"scale {scale}")
            _picture(cells[2 * scale + 1], image, "heatmap" if heatmap.any() else "heatmap: empty")
            _overlay(cells[2 * scale + 1], heatmap, image.shape[0])
    return figure


def described(place: int, patch: HardPatch, classes: Sequence[str]) -> str:
    """Two short lines on a hard patch."""
    it = patch.patch
    name = it.slide_id if len(it.slide_id) <= 32 else f"{it.slide_id[:31]}…"
    label, decided = _plain(classes[it.label]), _plain(classes[patch.decided])
    return (
        f"{place}. {_plain(name)}, x {it.x}, y {it.y}\n"
        f"{label}, judged {decided}; P({label}) {patch.given:.4f}, loss {patch.loss:.2f}"
    )


def _plain(name: str) -> str:
    return name.replace("$", r"\$")  # matplotlib would set mathematics


def _picture(axes: Axes, image: NDArray[np.uint8], title: str) -> None:
    axes.imshow(image)
    axes.set_title(title, fontsize=6, pad=2)
    axes.set_axis_off()


def _overlay(axes: Axes, heatmap: NDArray[np.float32], side: int) -> None:
    highest = float(heatmap.max())
    if highest > 0:
        share = heatmap / highest
        edges = (-0.5, side - 0.5, side - 0.5, -0.5)
        axes.imshow(
            share, cmap="viridis", vmin=0, vmax=1, alpha=0.15 + 0.55 * share, extent=edges, interpolation="bilinear"
        )
