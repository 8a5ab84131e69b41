"""The gray rule against its formula, sums against loops, and the draw of normals against sorting by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from preprocessing.selection import select
from preprocessing.tiling_settings import Sampling, Tissue
from preprocessing.tissue import is_tissue, window_sums
from tests import reference


def test_gray_rule_on_every_third_color() -> None:
    steps = np.arange(0, 256, 3, dtype=np.uint8)
    colors = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(steps.size, -1, 3)
    found = is_tissue(colors, Tissue(max_gray=0.8))
    assert np.array_equal(found, reference.is_tissue(colors, 0.8))
    assert 0 < found.sum() < found.size


def test_limit_itself_is_tissue() -> None:
    shades = np.array([[203, 204, 205]], np.uint8)[..., None].repeat(3, axis=-1)
    assert is_tissue(shades, Tissue(max_gray=0.8)).tolist() == [[True, True, False]]


def test_window_sums_are_the_sums_of_windows() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.random((70, 90)) < 0.3
    origins = np.array([[0, 0], [80, 60], [13, 5], [80, 0]], np.int32)
    expected = [pixels[y : y + 10, x : x + 10].sum() for x, y in origins]
    assert window_sums(pixels, origins, 10).tolist() == expected


def candidates() -> pd.DataFrame:
    """Three slides: with tumor, without, and not labeled."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"slide_id": np.repeat(["tumor", "normal", "unknown"], 40)})
    frame["patch_id"] = rng.permutation(len(frame)) - 60
    frame["label"] = np.where(frame["slide_id"] == "tumor", (np.arange(len(frame)) % 40 < 7).astype(float), 0.0)
    frame.loc[frame["slide_id"] == "unknown", "label"] = np.nan
    return frame


def as_table(spark: SparkSession, frame: pd.DataFrame) -> DataFrame:
    with_nulls = frame.astype(object).where(frame.notna(), None)
    return spark.createDataFrame(with_nulls, "slide_id string, patch_id long, label double")


@pytest.mark.parametrize(("ratio", "most"), [(1.0, 10), (0.5, 0), (2.3, 40), (0.0, 3), (9.0, 1000)])
def test_all_tumors_and_the_normals_with_the_lowest_hash(spark: SparkSession, ratio: float, most: int) -> None:
    frame = candidates()
    expected = []
    for name, slide in frame.groupby("slide_id"):
        tumors = slide[slide["label"] > 0]
        others = slide[~(slide["label"] > 0)].sort_values("patch_id")
        expected += [tumors, others.head(math.ceil(ratio * len(tumors)) if name == "tumor" else most)]
    sampling = Sampling(normals_per_tumor=ratio, from_slides_without_tumor=most)
    chosen = select(as_table(spark, frame).repartition(5), sampling)
    assert_df_equality(chosen, as_table(spark, pd.concat(expected)), ignore_row_order=True)
