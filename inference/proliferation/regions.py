"""How many lesions lie in which region of a slide, and what the counts of a slide come to; Spark DataFrames."""

from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as f

FEATURES: Final = tuple(f"{kind}{part}" for part in ("", "_top10", "_top30_70") for kind in ("sum", "std", "avg"))
"""Of the counts of all regions, of the tenth with most lesions, and of those from 30 to 70 %; names as published."""


def region_counts(slides: DataFrame, lesions: DataFrame, side: float) -> DataFrame:
    """Count the lesions of every region: squares from the upper left corner on, the last ones reach beyond the slide.

    Args:
        slides: `slide_id`, `width`, `height` (level-0 pixels), `mpp`; a row a slide.
        lesions: `slide_id`, `x`, `y` (level-0 pixels); those of other slides do not count.
        side: of a region, micrometers.

    Returns:
        `slide_id`, `row`, `column`, `lesions` (long), a row a region, also where nothing was found.
    """
    grids = slides.select("slide_id", "width", "height", (side / f.col("mpp")).alias("pixels"))
    regions = grids.select("slide_id", _numbers("height").alias("row"), "width", "pixels")
    regions = regions.select("slide_id", "row", _numbers("width").alias("column"))
    places = lesions.join(f.broadcast(grids), "slide_id").select(
        "slide_id",
        *(f.floor(f.col(axis) / f.col("pixels")).alias(name) for axis, name in (("y", "row"), ("x", "column"))),
    )
    counts = places.groupBy("slide_id", "row", "column").agg(f.count("*").alias("lesions"))
    return regions.join(counts, ["slide_id", "row", "column"], "left").fillna(0, "lesions")


def slide_features(regions: DataFrame) -> DataFrame:
    """Sum, standard deviation and mean of the counts: of all regions, of the top tenth (one at least), of 30 to 70 %.

    Args:
        regions: from `region_counts`.

    Returns:
        `slide_id`, `regions` (long), and `FEATURES` (double); a row a slide. The deviation is that of a sample, 0 where
        there is one region. Of equal counts the upper and then the left region comes first.
    """
    falling = Window.partitionBy("slide_id").orderBy(f.desc("lesions"), "row", "column")
    all_of_slide = Window.partitionBy("slide_id")
    ranked = regions.select(
        "slide_id",
        f.col("lesions").cast("double").alias("lesions"),
        (f.row_number().over(falling) - 1).alias("rank"),
        f.count("*").over(all_of_slide).alias("count"),
    )
    rank, count = f.col("rank"), f.col("count")
    parts = {
        "": f.lit(True),
        "_top10": rank < _at_least_one(count * 0.1),
        "_top30_70": (rank >= f.floor(count * 0.3)) & (rank < _at_least_one(count * 0.7)),
    }
    kinds = {"sum": f.sum, "std": f.stddev_samp, "avg": f.avg}
    features = [
        f.coalesce(kinds[kind](f.when(inside, f.col("lesions"))), f.lit(0.0)).alias(f"{kind}{part}")
        for part, inside in parts.items()
        for kind in kinds
    ]
    return ranked.groupBy("slide_id").agg(f.count("*").alias("regions"), *features)


def _numbers(size: str) -> Column:
    """A row for each region along one side."""
    return f.explode(f.sequence(f.lit(0), _at_least_one(f.ceil(f.col(size) / f.col("pixels"))) - 1))


def _at_least_one(number: Column) -> Column:
    return f.greatest(f.floor(number), f.lit(1))
