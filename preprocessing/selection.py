"""From candidates to chosen positions: all tumor patches, and normals drawn by their hash."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from preprocessing.tiling_settings import Sampling


def select(candidates: DataFrame, sampling: Sampling) -> DataFrame:
    """Choose the patches of every slide.

    Each slide is drawn by itself, so a new slide never changes the patches of another. The draw takes the lowest
    `patch_id`, a hash: the same on any number of cores.

    Args:
        candidates: columns of the survey, without failures.
        sampling: normals per tumor patch, and the number from slides without tumor patches.

    Returns:
        The chosen rows, same columns.
    """
    slide = Window.partitionBy("slide_id")
    in_order = Window.partitionBy("slide_id", "is_tumor").orderBy("patch_id")
    is_tumor = F.coalesce(F.col("label") > 0, F.lit(False))
    wanted = F.when(F.col("tumors") > 0, F.ceil(F.col("tumors") * F.lit(sampling.normals_per_tumor))).otherwise(
        F.lit(sampling.from_slides_without_tumor)
    )
    return (
        candidates.withColumn("is_tumor", is_tumor)
        .withColumn("tumors", F.sum(F.col("is_tumor").cast("long")).over(slide))
        .withColumn("place", F.row_number().over(in_order))
        .where(F.col("is_tumor") | (F.col("place") <= wanted))
        .drop("is_tumor", "tumors", "place")
    )
