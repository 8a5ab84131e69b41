"""What was found on one slide beside the lesions that are annotated on it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.camelyon16 import JudgedDetections, judge_detections, lesion_scores
from inference.lesion_truth import EvaluationGrid, LesionShape, TrueLesions, true_lesions
from inference.run_output import SlideOutput
from preprocessing.errors import MissingMppError
from preprocessing.labels import open_truth
from preprocessing.readers.opening import read_info
from preprocessing.scales import slide_mpp
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Tiling


@dataclass(frozen=True, eq=False)
class JudgedSlide:
    """One slide as the challenge looks at it.

    Attributes:
        slide_id: name of the slide.
        score: of the slide.
        shapes: of all its lesions, isolated tumor cells too; none on a slide without tumor.
        best: (m,) float64, the highest detection in each of them, 0 where it was missed.
        detections: what counts of the detections.
        empty: see `SlideOutput`.
    """

    slide_id: str
    score: float
    shapes: tuple[LesionShape, ...]
    best: NDArray[np.float64]
    detections: JudgedDetections
    empty: bool

    @property
    def positive(self) -> bool:
        """Whether any tumor is annotated, isolated tumor cells too: the challenge's own label of the slide."""
        return bool(self.shapes)


def judged_lesions(output: SlideOutput, tiling: Tiling, mpp: float | None) -> JudgedSlide | None:
    """Judge the detections of a slide.

    Args:
        output: of the model.
        tiling: of the recipe, for its labels and its mpp.
        mpp: micrometers per level-0 pixel to go by, None for the slide's own.

    Returns:
        None for a slide without known truth. Memory: see `true_lesions`.

    Raises:
        MissingMppError: nobody says the slide's resolution, so that no lesion can be measured.
        SlideError: slide or annotation cannot be read, or they do not belong together.
    """
    lesions = lesions_of(output.entry, tiling, mpp)
    if lesions is None:
        return None
    best = lesion_scores(lesions, output.detections)
    judged = judge_detections(lesions, output.detections)
    return JudgedSlide(output.entry.slide_id, output.score, lesions.shapes, best, judged, output.empty)


def lesions_of(entry: SlideEntry, tiling: Tiling, mpp: float | None) -> TrueLesions | None:
    """The lesions of a slide; arguments, errors and memory as for `judged_lesions`."""
    info = read_info(entry.path)
    known = mpp if mpp is not None else slide_mpp(info, entry.mpp, tiling)[0]
    # What is to be known of the truth of a slide does not wait for its resolution.
    grid = EvaluationGrid.of(info.width, info.height, known if known is not None else 1.0)
    with open_truth(entry, info, grid.downsample, tiling.labels) as truth:
        if truth is None:
            return None
        if known is None:
            raise MissingMppError(
                f"nothing says the mpp of {entry.slide_id}, so its lesions cannot be measured; add a column mpp to the "
                "manifest, or give --mpp"
            )
        return true_lesions(truth, grid)
