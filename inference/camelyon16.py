"""The detections of one slide against its lesions, as CAMELYON16 counts them (Ehteshami Bejnordi et al. 2017).

A lesion has the score of the highest detection in it, the others in it are free. Detections on isolated tumor cells
count neither way. All others, and all on a slide without tumor, are false positives.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.lesion_truth import TrueLesions
from preprocessing.errors import SlideError


class DetectionOutsideError(SlideError):
    """A detection lies beyond the slide it is said to be of."""


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found on one slide.

    Attributes:
        xy: (n, 2) float64, level-0 pixels.
        scores: (n,) float64, at least 0.
    """

    xy: NDArray[np.float64]
    scores: NDArray[np.float64]

    @classmethod
    def none(cls) -> "Detections":
        """Nothing was found."""
        return cls(np.zeros((0, 2)), np.zeros(0))


@dataclass(frozen=True, eq=False)
class JudgedDetections:
    """The detections of one slide beside its lesions.

    Attributes:
        lesions: (m,) float64, the score of each lesion that counts; 0 where it was missed.
        false_positives: (k,) float64, scores.
        isolated: how many lesions are isolated tumor cells.
    """

    lesions: NDArray[np.float64]
    false_positives: NDArray[np.float64]
    isolated: int


def judge_detections(lesions: TrueLesions, detections: Detections) -> JudgedDetections:
    """Count the detections of a slide.

    Args:
        lesions: of the slide.
        detections: on it.

    Raises:
        DetectionOutsideError: a detection beyond the slide.
    """
    scores = lesion_scores(lesions, detections)
    counts = np.array([not shape.isolated for shape in lesions.shapes], bool)
    nowhere = labels_at(lesions, detections) == 0
    return JudgedDetections(scores[counts], detections.scores[nowhere], int((~counts).sum()))


def lesion_scores(lesions: TrueLesions, detections: Detections) -> NDArray[np.float64]:
    """(m,) float64, the highest detection in each lesion, isolated tumor cells too; 0 where there is none."""
    best = np.zeros(len(lesions.shapes) + 1)
    np.maximum.at(best, labels_at(lesions, detections), detections.scores)
    return best[1:]


def labels_at(lesions: TrueLesions, detections: Detections) -> NDArray[np.int64]:
    """(n,) the lesion each detection falls into, 0 for none.

    Raises:
        DetectionOutsideError: a detection beyond the slide.
    """
    grid = lesions.grid
    beyond = (grid.width * grid.downsample, grid.height * grid.downsample)
    outside = ((detections.xy < 0) | (detections.xy >= beyond)).any(axis=1)
    if outside.any():
        x, y = detections.xy[outside][0]
        raise DetectionOutsideError(
            f"a detection at {x:.0f}, {y:.0f} lies beyond the slide; run infer again if the slide has changed"
        )
    return np.array([lesions.at(x, y) for x, y in detections.xy.tolist()], np.int64)
