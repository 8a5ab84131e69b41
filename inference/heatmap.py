"""The heatmap that people look at: slide and probabilities side by side, with the truth where it is known."""

import io
import math
from collections.abc import Iterable, Sequence
from typing import Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from inference.lesions import Lesion
from inference.probability_map import ProbabilityMap

Outline = NDArray[np.float64]

_LONGEST_INCHES = 9.0
_LONGEST_CELLS = 450  # along the longer side of a slide; each cell gets two pixels or more, so none falls out
_TRUTH_COLOR: Final = "#006b2d"  # darker than any green of the color scale
_OPACITY = (0.06, 0.65)  # of probability 0 and of 1


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
        title: a line or two.
        thumbnail: (h, w, 3) uint8 RGB of the whole slide.
        size: width and height of the slide, level-0 pixels.
        heatmap: its probabilities; where cells are smaller than pixels, the highest of a few is shown.
        truth: rings (n, 2) of annotated areas, level-0 pixels; may be empty.
        lesions: found ones, marked by crosses.

    Returns:
        A PNG of bounded size, whatever the slide's.
    """
    width, height = size
    scale = _LONGEST_INCHES / max(width, height)
    panel = (max(width * scale, 3.0), max(height * scale, 2.0))
    figure = Figure(figsize=(2 * panel[0] + 1.5, panel[1] + 1.0), dpi=100, layout="constrained")
    figure.suptitle(title)
    plain, judged = figure.subplots(1, 2, sharex=True, sharey=True)
    outlines = list(truth)
    shown = heatmap.coarser(max(1, math.ceil(max(size) / (heatmap.step * _LONGEST_CELLS))))
    for axes in (plain, judged):
        axes.imshow(thumbnail, extent=(0, width, height, 0), interpolation="antialiased")
        axes.set_xticks([])
        axes.set_yticks([])
    picture = judged.imshow(
        shown.values,  # NaN, where nothing was judged, stays transparent
        extent=shown.extent(),
        cmap=_fading_colors(),
        norm=Normalize(0, 1),
        interpolation="nearest",
    )
    for axes in (plain, judged):
        _draw_truth(axes, outlines)
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
    if lesions:
        halo = [withStroke(linewidth=4, foreground="black")]
        x, y = [lesion.x for lesion in lesions], [lesion.y for lesion in lesions]
        judged.plot(x, y, "x", color="white", markersize=7, markeredgewidth=2, path_effects=halo)
    plain.set_xlabel("slide" + (", annotation outlined" if outlines else ", no annotation"))
    judged.set_xlabel("probability of tumor" + (", lesions crossed" if lesions else ", no lesion found"))
    figure.colorbar(picture, ax=judged, label="probability of tumor", fraction=0.05)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _fading_colors() -> ListedColormap:
    """Blue to red, more opaque the higher the probability: what is called normal still looks like tissue."""
    colors = matplotlib.colormaps["turbo"](np.linspace(0.1, 0.95, 256))
    colors[:, 3] = np.linspace(*_OPACITY, 256)
    return ListedColormap(colors)


def _draw_truth(axes: Axes, outlines: Iterable[Outline]) -> None:
    halo = [withStroke(linewidth=4, foreground="white")]
    for ring in outlines:
        axes.plot(ring[:, 0], ring[:, 1], color=_TRUTH_COLOR, linewidth=2, path_effects=halo)
