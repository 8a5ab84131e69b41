"""Where windows may be cut on a block, and what is known of each; the only place that picks a placement by name."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessing.grid import Block
from preprocessing.label_rule import label_windows
from preprocessing.labels import Truth, WholeSlide, open_truth
from preprocessing.recipe import Recipe
from preprocessing.slide_plan import SlidePlan
from preprocessing.tiling_settings import Tiling

Known = Truth | None
"""What is known of a slide: what is annotated; None where nobody looked."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of a block, before their tissue is judged.

    Attributes:
        origins: (n, 2) int32 top-left corners, scale-0 pixels.
        certain: (n,) bool: these are patches whatever their tissue, and whatever is drawn.
        label: (n,) int32; None where nothing is known.
        fraction: (n,) float32, annotated share of the center; None where nothing is known or nobody measures it.
    """

    origins: NDArray[np.int32]
    certain: NDArray[np.bool_]
    label: NDArray[np.int32] | None = None
    fraction: NDArray[np.float32] | None = None


def windows_of(block: Block, origins: NDArray[np.int32], known: Known, tiling: Tiling) -> Windows:
    """The windows of a block.

    Args:
        block: of the slide.
        origins: (n, 2) int32 top-left corners of its windows on the grid, scale-0 pixels.
        known: of the slide.
        tiling: window, center and label rule.
    """
    del block
    if known is None:
        return Windows(origins, np.zeros(len(origins), bool))
    if isinstance(known, WholeSlide):  # nobody marked a place, so tissue decides
        return Windows(origins, np.zeros(len(origins), bool), np.full(len(origins), known.label, np.int32))
    found = label_windows(known, origins, tiling)
    return Windows(origins, found.label > 0, found.label, found.fraction)


def left_out(known: Known, blocks: Sequence[Block]) -> int:
    """How many windows the placement asks for in some blocks that found no place."""
    del known, blocks
    return 0


@contextmanager
def open_known(plan: SlidePlan, recipe: Recipe) -> Iterator[Known]:
    """Open what is known of a slide.

    Args:
        plan: the slide.
        recipe: placement and labels.

    Raises:
        AnnotationError: see `open_truth`.
    """
    downsample = plan.scales[0].downsample
    with open_truth(plan.entry, plan.facts.info, downsample, recipe.tiling.labels) as truth:
        yield truth
