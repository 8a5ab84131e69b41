"""How a model bears slides that were stained otherwise: the same patches judged again, recolored by fixed amounts.

Hematoxylin and eosin are made stronger or weaker in optical density, or more of both is added everywhere, as another
laboratory or another scanner would (the space of Tellez et al. 2018, arXiv 1808.05896; here the amounts are fixed and
not drawn). It is no substitute for slides of another laboratory: real ones differ in more than the amounts of stain.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from training.augmentation import restained
from training.chosen_patches import StoredPatch, patch_ids, stored_patches
from training.evaluation import by_task
from training.judging import Judging
from training.slide_level import ScoredPatches
from training.table import PatchTable

PATCHES: Final = 1024  # judged under each shift, spread evenly over slides and classes
FEWEST_OF_SLIDE: Final = 8  # of each slide and class, however many slides there are


@dataclass(frozen=True)
class StainShift:
    """A change of stain.

    Attributes:
        name: for people.
        hematoxylin, eosin: relative change of the stain's optical density.
        added: optical density (log10) of both stains added to every pixel; below 0 it is taken away.
    """

    name: str
    hematoxylin: float = 0.0
    eosin: float = 0.0
    added: float = 0.0


AS_IT_IS: Final = StainShift("as it is")
SHIFTS: Final = (
    StainShift("hematoxylin -25 %", hematoxylin=-0.25),
    StainShift("hematoxylin -10 %", hematoxylin=-0.1),
    StainShift("hematoxylin +10 %", hematoxylin=0.1),
    StainShift("hematoxylin +25 %", hematoxylin=0.25),
    StainShift("eosin -25 %", eosin=-0.25),
    StainShift("eosin -10 %", eosin=-0.1),
    StainShift("eosin +10 %", eosin=0.1),
    StainShift("eosin +25 %", eosin=0.25),
    StainShift("both -25 %", hematoxylin=-0.25, eosin=-0.25),
    StainShift("both +25 %", hematoxylin=0.25, eosin=0.25),
    StainShift("density -0.05", added=-0.05),
    StainShift("density +0.05", added=0.05),
)


@dataclass(frozen=True)
class Robustness:
    """What became of a model's measures.

    Attributes:
        split: which one was judged.
        patches, slides: how many were judged under each shift.
        unshifted: measures of these patches as they are, by name.
        shifted: measures under each of `SHIFTS`.
    """

    split: str
    patches: int
    slides: int
    unshifted: Mapping[str, float]
    shifted: tuple[tuple[StainShift, Mapping[str, float]], ...]

    def worst(self, measure: str) -> tuple[StainShift, float]:
        """The shift under which a measure is lowest, the first of equals, and that value."""
        shift, measures = min(self.shifted, key=lambda pair: pair[1][measure])
        return shift, measures[measure]

    def as_json(self) -> dict[str, Any]:
        """For `metrics.json`."""
        worst = {measure: self.worst(measure) for measure in self.unshifted}
        return {
            "patches": self.patches,
            "slides": self.slides,
            "unshifted": dict(self.unshifted),
            "shifts": [asdict(shift) | dict(measures) for shift, measures in self.shifted],
            "worst": {
                measure: {"shift": shift.name, "value": value, "change": value - self.unshifted[measure]}
                for measure, (shift, value) in worst.items()
            },
        }


def color_robustness(
    core: keras.Model, table: PatchTable, split: str, judging: Judging, window: int, batch_size: int
) -> Robustness:
    """Judge a model on some patches of a split under every shift.

    Args:
        core: see `models.core_model`.
        table: where the patches are.
        split: the one that is judged.
        judging: thresholds and measures.
        window: side of a patch, pixels.
        batch_size: patches per call of the model.

    Returns:
        The measures. Memory: one batch, one row group of the table, and the answers.
    """
    rows = chosen_rows(table, split)
    patches = list(_scored(core, stored_patches(table, split, rows), window, batch_size))
    slide_ids = np.array([slide for batch in patches for slide in batch.slide_ids], np.str_)
    labels = np.concatenate([batch.labels for batch in patches])
    answers = np.concatenate([batch.answers for batch in patches], axis=1)
    measures = [judging.summary(ScoredPatches(slide_ids, labels, by_task(mine))) for mine in answers]
    shifted = tuple(zip(SHIFTS, measures[1:], strict=True))
    return Robustness(split, len(rows), len(np.unique(slide_ids)), measures[0], shifted)


def chosen_rows(table: PatchTable, split: str, patches: int = PATCHES) -> NDArray[np.int64]:
    """Numbers of the rows that are judged: of each slide and class those with the lowest id, which is a hash.

    Args:
        table: where the patches are.
        split: its name.
        patches: how many in all; a slide and class gives as many as any other, or all that it has, and always
            `FEWEST_OF_SLIDE`.

    Returns:
        Rising numbers, see `chosen_patches`.
    """
    files = table.labeled(split)
    keys = sorted({(file.partition.slide_id, file.partition.label) for file in files})
    group_of_file = [keys.index((file.partition.slide_id, file.partition.label)) for file in files]
    group_of = np.repeat(np.array(group_of_file, np.int64), [file.rows for file in files])
    order = np.lexsort((patch_ids(table, split), group_of))
    starts = np.searchsorted(group_of[order], np.arange(len(keys)))
    rank = np.arange(len(order)) - starts[group_of[order]]
    return np.sort(order[rank < max(patches // len(keys), FEWEST_OF_SLIDE)])


@dataclass(frozen=True)
class _Answered:
    """One batch: slides, (n,) labels, and (1 + shifts, n, outputs) answers, unshifted first."""

    slide_ids: list[str]
    labels: NDArray[np.int32]
    answers: NDArray[np.float32]


def _scored(core: keras.Model, patches: Iterator[StoredPatch], window: int, batch_size: int) -> Iterator[_Answered]:
    while batch := list(islice(patches, batch_size)):
        decoded = [patch.decoded(window) for patch in batch]
        filled = [*decoded, *[decoded[0]] * (batch_size - len(batch))]  # one shape, so that the model is traced once
        scales = [np.stack(scale).astype(np.float32) for scale in zip(*filled, strict=True)]
        answers = [_answers(core, scales, shift)[: len(batch)] for shift in (AS_IT_IS, *SHIFTS)]
        labels = np.array([patch.label for patch in batch], np.int32)
        yield _Answered([patch.slide_id for patch in batch], labels, np.stack(answers))


def _answers(core: keras.Model, scales: list[NDArray[np.float32]], shift: StainShift) -> NDArray[np.float32]:
    changed = scales if shift == AS_IT_IS else [shifted_patches(scale, shift) for scale in scales]
    images = {f"scale_{number}": image for number, image in enumerate(changed)}
    return np.asarray(core.predict_on_batch(images), np.float32)


def shifted_patches(images: NDArray[np.float32], shift: StainShift) -> NDArray[np.float32]:
    """Recolor a batch.

    Args:
        images: (n, window, window, 3), 0 to 255.
        shift: the same for every patch.

    Returns:
        float32 of the same shape, 0 to 255.
    """
    patches = len(images)
    alpha = np.tile(np.array([shift.hematoxylin, shift.eosin, 0], np.float32), (patches, 1))
    beta = np.tile(np.array([shift.added, shift.added, 0], np.float32), (patches, 1))
    return np.asarray(restained(images, alpha, beta), np.float32)
