"""The heatmap that people look at: slide and probabilities side by side, with the truth where it is known."""

import io
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from inference.lesions import Lesion
from inference.probability_map import ProbabilityMap

Outline = NDArray[np.float64]

_LONGEST_INCHES = 9.0
_TRUTH_COLOR = "#00b050"


def heatmap_png(
    title: str,
    thumbnail: NDArray[np.uint8],
    size: tuple[int, int],
    heatmap: ProbabilityMap,
    truth: Iterable[Outline],
    lesions: Sequence[Lesion],
) -> bytes:
    """Draw a slide beside its probabilities.

    Args:
        title: one line.
        thumbnail: (h, w, 3) uint8 RGB of the whole slide.
        size: width and height of the slide, level-0 pixels.
        heatmap: its probabilities.
        truth: rings (n, 2) of annotated areas, level-0 pixels; may be empty.
        lesions: found ones, marked by crosses.

    Returns:
        A PNG of bounded size, whatever the slide's.
    """
    width, height = size
    scale = _LONGEST_INCHES / max(width, height)
    panel = (max(width * scale, 3.0), max(height * scale, 2.0))
    figure = Figure(figsize=(2 * panel[0] + 1.5, panel[1] + 0.8), dpi=100, layout="constrained")
    figure.suptitle(title)
    plain, judged = figure.subplots(1, 2, sharex=True, sharey=True)
    outlines = list(truth)
    for axes in (plain, judged):
        axes.imshow(thumbnail, extent=(0, width, height, 0), interpolation="antialiased")
        _draw_truth(axes, outlines)
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        axes.set_xticks([])
        axes.set_yticks([])
    picture = judged.imshow(
        heatmap.values,  # NaN, where nothing was judged, stays transparent
        extent=heatmap.extent(),
        cmap="turbo",
        norm=Normalize(0, 1),
        alpha=0.55,
        interpolation="nearest",
    )
    if lesions:
        judged.plot([lesion.x for lesion in lesions], [lesion.y for lesion in lesions], "x", color="white", mew=2)
    plain.set_xlabel("slide" + (", annotated tumor outlined" if outlines else ", no annotation"))
    judged.set_xlabel("probability of tumor" + (", lesions crossed" if lesions else ", no lesion found"))
    figure.colorbar(picture, ax=judged, label="probability of tumor", fraction=0.05)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _draw_truth(axes: Axes, outlines: Iterable[Outline]) -> None:
    for ring in outlines:
        axes.plot(ring[:, 0], ring[:, 1], color=_TRUTH_COLOR, linewidth=1.5)
