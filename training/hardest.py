"""The patches on which a model errs most, and where it looked: the highest losses of each class, with heatmaps."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from training.chosen_patches import StoredPatch, patch_ids, stored_patches
from training.grad_cam import grad_cam
from training.judging import Judging
from training.slide_level import ScoredPatches
from training.table import PatchTable

PER_CLASS: Final = 12
_LEAST: Final = 1e-12  # probability below which a loss is not told apart; float32 answers underflow to 0


@dataclass(frozen=True)
class HardPatch:
    """One patch with its heatmaps.

    Attributes:
        patch: where it is and what its label is.
        decided: the class it was judged to be of, and whose score the heatmaps explain.
        given: probability that the model gave to its label.
        loss: -log of that.
        images: (window, window, 3) uint8 per scale.
        heatmaps: (height, width) float32 per scale, not negative.
    """

    patch: StoredPatch
    decided: int
    given: float
    loss: float
    images: tuple[NDArray[np.uint8], ...]
    heatmaps: tuple[NDArray[np.float32], ...]

    def as_json(self) -> dict[str, Any]:
        """For `metrics.json`."""
        it = self.patch
        place = {"slide_id": it.slide_id, "patch_id": it.patch_id, "x": it.x, "y": it.y}
        return place | {"label": it.label, "decided": self.decided, "given": self.given, "loss": self.loss}


@dataclass(frozen=True)
class Hardest:
    """The hardest patches of one split.

    Attributes:
        split: its name.
        layers: per scale, `TOWER: LAYER` whose map is shown.
        patches: by label, then by falling loss.
    """

    split: str
    layers: tuple[str, ...]
    patches: tuple[HardPatch, ...]

    def of_class(self, label: int) -> tuple[HardPatch, ...]:
        """Those of one class."""
        return tuple(it for it in self.patches if it.patch.label == label)


def highest_losses(
    losses: NDArray[np.float64], labels: NDArray[np.int32], ids: NDArray[np.int64], per_class: int = PER_CLASS
) -> NDArray[np.int64]:
    """Rows with the highest losses of each class.

    Args:
        losses, labels, ids: (n,) of the same rows; of equal losses the lowest id comes first.
        per_class: how many of each class, or all where it has fewer.

    Returns:
        Numbers of rows, by label, then by falling loss.
    """
    order = np.lexsort((ids, -losses, labels))
    found = labels[order]
    rank = np.arange(len(order)) - np.searchsorted(found, found)
    return order[rank < per_class]


def hardest_patches(
    core: keras.Model, table: PatchTable, split: str, scored: ScoredPatches, judging: Judging, window: int
) -> Hardest:
    """Find and explain the hardest patches of a split.

    Args:
        core: see `models.core_model`.
        table: where the patches are.
        split: its name.
        scored: what the core says of all its patches, from `evaluation.split_predictions`.
        judging: how answers become classes.
        window: side of a patch, pixels.

    Returns:
        At most `PER_CLASS` patches of each class; no others are decoded.
    """
    given = judging.of_class(scored.probabilities, scored.labels)
    losses = -np.log(np.maximum(given, _LEAST))
    rows = highest_losses(losses, scored.labels, patch_ids(table, split))
    stored = {it.row: it for it in stored_patches(table, split, rows)}
    patches = [stored[int(row)] for row in rows]
    images = [np.stack(scale) for scale in zip(*(it.decoded(window) for it in patches), strict=True)]
    decided = judging.decided(scored.probabilities[rows])
    explained = grad_cam(core, images, decided)

    def described() -> Iterator[HardPatch]:
        for place, (row, patch) in enumerate(zip(rows, patches, strict=True)):
            yield HardPatch(
                patch=patch,
                decided=int(decided[place]),
                given=float(given[row]),
                loss=float(losses[row]),
                images=tuple(scale[place] for scale in images),
                heatmaps=tuple(scale.heatmaps[place] for scale in explained),
            )

    return Hardest(split, tuple(f"{it.tower}: {it.layer}" for it in explained), tuple(described()))
