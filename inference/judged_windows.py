"""The predicted windows of a slide beside what the annotation says of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cluster.storage import Store
from inference.assemble import read_predictions
from inference.predict import PREDICTIONS
from preprocessing.label_rule import label_windows
from preprocessing.labels import Truth, open_truth
from preprocessing.published_files import is_published
from preprocessing.readers.opening import read_info
from preprocessing.recipe import Recipe
from preprocessing.scales import resolve_scales, slide_mpp
from preprocessing.slide_entry import SlideEntry


@dataclass(frozen=True, eq=False)
class JudgedWindows:
    """The predictions of one slide beside the truth.

    Attributes:
        slide_id: name of the slide.
        labels: (n,) bool, of any class by the recipe's rule.
        probabilities: (n,) float32.
    """

    slide_id: str
    labels: NDArray[np.bool_]
    probabilities: NDArray[np.float32]


def judged_windows(predictions: Store, entry: SlideEntry, recipe: Recipe) -> JudgedWindows | None:
    """Label the predictions of a slide.

    Args:
        predictions: output folder of `infer`.
        entry: the slide.
        recipe: from `prediction_recipe`.

    Returns:
        None for a slide without predictions or without known truth. Memory: its predictions, and a block of its
        annotation.

    Raises:
        SlideError: slide or annotation cannot be read, or they do not belong together.
    """
    folder = f"{PREDICTIONS}/slide_id={entry.slide_id}"
    if not is_published(predictions, PREDICTIONS, f"slide_id={entry.slide_id}"):
        return None
    info = read_info(entry.path)
    mpp, _ = slide_mpp(info, entry.mpp, recipe.tiling)
    downsample = resolve_scales(info, mpp, recipe.tiling)[0].downsample
    with open_truth(entry, info, downsample, recipe.tiling.labels) as truth:
        if truth is None:
            return None
        xy, probabilities = read_predictions(predictions, folder)
        origins = np.rint(xy / downsample).astype(np.int32)
        return JudgedWindows(entry.slide_id, _labels(truth, origins, recipe), probabilities)


def _labels(truth: Truth, origins: NDArray[np.int32], recipe: Recipe) -> NDArray[np.bool_]:
    labels = np.zeros(len(origins), bool)
    block_of, members = np.unique(origins // recipe.tiling.block, axis=0, return_inverse=True)
    for block in range(len(block_of)):
        mine = np.flatnonzero(members.ravel() == block)
        labels[mine] = label_windows(truth, origins[mine], recipe.tiling).label > 0
    return labels
