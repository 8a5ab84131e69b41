"""Counts of regions, and the nine features of a slide, are those of plain loops over the published rules."""

import statistics

from chispa import assert_approx_df_equality, assert_df_equality
from pyspark.sql import SparkSession

from inference.proliferation.regions import FEATURES, region_counts, slide_features

REGIONS = "slide_id string, row bigint, column bigint, lesions bigint"


def test_every_region_is_counted_also_those_without_a_lesion(spark: SparkSession) -> None:
    """3 mm at 0.5 um are 6,000 px; 0.25 um has twice the pixels; the last region of a side reaches beyond the slide."""
    slides = spark.createDataFrame(
        [("a", 12_001, 6_000, 0.5), ("b", 12_000, 100, 0.25), ("c", 9, 9, 0.5)],
        "slide_id string, width int, height int, mpp double",
    )
    lesions = [("a", 0, 0), ("a", 5_999, 5_999), ("a", 6_000, 10), ("a", 12_000, 3), ("b", 11_999, 99), ("other", 1, 1)]
    found = region_counts(slides, spark.createDataFrame(lesions, "slide_id string, x int, y int"), 3000)
    wanted = [("a", 0, 0, 2), ("a", 0, 1, 1), ("a", 0, 2, 1), ("b", 0, 0, 1), ("c", 0, 0, 0)]
    assert_df_equality(found, spark.createDataFrame(wanted, REGIONS), ignore_row_order=True, ignore_nullable=True)


def by_hand(counts: list[int]) -> list[float]:
    falling, n = sorted(counts, reverse=True), len(counts)
    parts = [falling, falling[: max(int(n * 0.1), 1)], falling[int(n * 0.3) : max(int(n * 0.7), 1)]]
    return [
        value
        for part in parts
        for value in (sum(part), statistics.stdev(part) if len(part) > 1 else 0, statistics.fmean(part))
    ]


def test_features_are_those_of_the_published_rules(spark: SparkSession) -> None:
    """One region, two, up to many: a deviation of one count is 0, and no part is ever empty."""
    counts = {f"s{n:02}": [(7 * k * k + n) % 11 for k in range(n)] for n in (1, 2, 3, 4, 9, 10, 19, 20, 37)}
    counts |= {"none": [0] * 12, "equal": [3] * 30}
    rows = [(name, k // 5, k % 5, count) for name, of in counts.items() for k, count in enumerate(of)]
    assert len(FEATURES) == 9
    wanted = [(name, len(of), *(float(value) for value in by_hand(of))) for name, of in counts.items()]
    columns = ", ".join(f"{name} double" for name in FEATURES)
    assert_approx_df_equality(
        slide_features(spark.createDataFrame(rows, REGIONS)),
        spark.createDataFrame(wanted, f"slide_id string, regions bigint, {columns}"),
        1e-9,
        ignore_row_order=True,
        ignore_nullable=True,
    )
