"""The draw of normals against sorting by hand: ratios, numbers and quotas, on any partitions."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from preprocessing.selection import select
from preprocessing.tiling_settings import Sampling

SLIDES = ("tumor", "bare", "unknown")


def candidates() -> pd.DataFrame:
    """Three slides: with positives of two classes, without, and not labeled."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"slide_id": np.repeat(SLIDES, 40)})
    frame["patch_id"] = rng.permutation(len(frame)) - 60
    place = np.arange(len(frame)) % 40
    positive = np.where(place < 5, 1.0, 2.0) * (place < 7)
    frame["label"] = np.where(frame["slide_id"] == "tumor", positive, 0.0)
    frame.loc[frame["slide_id"] == "unknown", "label"] = np.nan
    return frame


def as_table(spark: SparkSession, frame: pd.DataFrame) -> DataFrame:
    with_nulls = frame.astype(object).where(frame.notna(), None)
    return spark.createDataFrame(with_nulls, "slide_id string, patch_id long, label double")


def by_hand(frame: pd.DataFrame, sampling: Sampling, quotas: dict[str, int | None]) -> pd.DataFrame:
    chosen = []
    for name, slide in frame.groupby("slide_id"):
        positives = slide[slide["label"] > 0]
        others = slide[~(slide["label"] > 0)].sort_values("patch_id")
        limits = [sampling.max_normals, quotas.get(str(name))]
        if len(positives) == 0:
            limits.append(sampling.from_slides_without_tumor)
        elif sampling.normals_per_tumor is not None:
            limits.append(math.ceil(len(positives) * sampling.normals_per_tumor))
        most = min((limit for limit in limits if limit is not None), default=len(others))
        chosen += [positives, others.head(most)]
    return pd.concat(chosen)


@pytest.mark.parametrize(
    ("ratio", "alone", "most", "quotas"),
    [
        (1.0, 10, None, {}),
        (0.5, 0, None, {}),
        (2.3, 40, None, {}),
        (0.0, 3, None, {}),
        (9.0, 1000, None, {}),
        (None, 5, None, {}),
        (1.0, None, None, {}),
        (None, None, None, {}),
        (None, None, 4, {}),
        (None, None, 0, {}),
        (2.0, 12, 9, {"tumor": 11, "bare": None}),
        (2.0, 12, None, {"tumor": 3, "bare": 0, "unknown": 13, "elsewhere": 1}),
        (None, None, None, {"tumor": 3, "bare": 30}),
    ],
)
def test_all_positives_and_the_normals_with_the_lowest_hash_up_to_every_limit(
    spark: SparkSession, ratio: float | None, alone: int | None, most: int | None, quotas: dict[str, int | None]
) -> None:
    frame = candidates()
    sampling = Sampling(normals_per_tumor=ratio, from_slides_without_tumor=alone, max_normals=most)
    chosen = select(as_table(spark, frame).repartition(5), sampling, quotas)
    assert chosen.columns == list(frame.columns)
    assert_df_equality(chosen, as_table(spark, by_hand(frame, sampling, quotas)), ignore_row_order=True)


def test_more_is_kept_with_every_limit_that_is_raised(spark: SparkSession) -> None:
    """The draw is nested: raising a ratio only adds patches, so that a table can be compared with its larger sister."""
    table = as_table(spark, candidates()).persist()
    kept = [
        {
            row.patch_id
            for row in select(table, Sampling(normals_per_tumor=ratio, from_slides_without_tumor=n)).collect()
        }
        for ratio, n in ((0.5, 3), (1.0, 7), (3.0, 30), (None, None))
    ]
    assert all(fewer < more for fewer, more in itertools.pairwise(kept))


def test_where_everything_is_kept_nothing_is_sorted(spark: SparkSession) -> None:
    table = as_table(spark, candidates())
    everything = Sampling(normals_per_tumor=None, from_slides_without_tumor=None)
    assert select(table, everything, {"tumor": None}) is table
