"""What a slide comes to in numbers."""

from dataclasses import asdict, dataclass
from typing import Final

import pyarrow as pa

from inference.heatmaps.cells import CellMap
from preprocessing.inference_settings import Inference

SCORE_SCHEMA: Final = pa.schema(
    [
        ("slide_id", pa.string()),
        ("score", pa.float32()),
        ("lesions", pa.int32()),
        ("tissue_area_mm2", pa.float64()),
        ("positive_area_mm2", pa.float64()),
        ("model_id", pa.string()),
        ("engine", pa.string()),
    ]
)


@dataclass(frozen=True)
class SlideScore:
    """One row of the slide scores.

    Attributes:
        score: the highest probability of a cell of the slide (Liu et al. 2017), or their mean; 0 where no cell has one.
        lesions: how many were found.
        tissue_area_mm2, positive_area_mm2: cells with a probability, and cells at or above the threshold, in mm²; None
            where the slide's resolution is not known.
        model_id: of the model.
        engine: what computed it, e.g. `openvino bfloat16`.
    """

    slide_id: str
    score: float
    lesions: int
    tissue_area_mm2: float | None
    positive_area_mm2: float | None
    model_id: str
    engine: str

    def table(self) -> pa.Table:
        """The row as an Arrow table."""
        return pa.Table.from_pylist([asdict(self)], SCORE_SCHEMA)


def slide_score(
    slide_id: str,
    cells: CellMap,
    lesions: int,
    settings: Inference,
    mpp: float | None,
    model_id: str,
    engine: str,
) -> SlideScore:
    """Score a slide.

    Args:
        slide_id: name of the slide.
        cells: its probabilities.
        lesions: how many were found.
        settings: what the score is, and from which probability a cell counts as tumor.
        mpp: micrometers per level-0 pixel, if known.
        model_id: of the model.
        engine: what computed.
    """
    totals = cells.totals(settings.threshold)
    area = None if mpp is None else (cells.grid.step * mpp / 1000) ** 2  # of a cell
    return SlideScore(
        slide_id=slide_id,
        score=totals.highest if settings.slide_score == "maximum" else totals.mean,
        lesions=lesions,
        tissue_area_mm2=None if area is None else totals.judged * area,
        positive_area_mm2=None if area is None else totals.positive * area,
        model_id=model_id,
        engine=engine,
    )
