"""From candidates to chosen positions: all positive patches, and normals drawn by their hash."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from preprocessing.tiling_settings import Sampling


def select(candidates: DataFrame, sampling: Sampling, quotas: Mapping[str, int | None] | None = None) -> DataFrame:
    """Choose the patches of every slide.

    Positives are all kept. Normals (and patches without a label) are kept by the lowest `patch_id`, a hash, up to
    the first of these limits: `normals_per_tumor` for each positive of the slide, or `from_slides_without_tumor` where
    it has none; then the slide's quota. Each slide is drawn by itself, the same on any number of cores.

    Memory: one sort by slide and hash, which Spark spills to disk, so that no slide is too large; the rows are those
    of the survey, without pixels. Where everything is kept, nothing is sorted.

    Args:
        candidates: columns of the survey, without failures.
        sampling: the limits.
        quotas: most normals of each slide, `SlideEntry.max_normals`; None, or no entry, sets no limit.

    Returns:
        The chosen rows, same columns.
    """
    limited = {slide_id: quota for slide_id, quota in (quotas or {}).items() if quota is not None}
    if sampling.keeps_all and not limited:
        return candidates
    # Positives come first, so that their running count is complete when the first normal is met.
    so_far = Window.partitionBy("slide_id").orderBy(F.col("_positive").desc(), "patch_id")
    rows = (
        candidates.withColumn("_positive", F.coalesce(F.col("label") > 0, F.lit(False)))
        .withColumn(
            "_positives", F.count(F.when(F.col("_positive"), 1)).over(so_far.rowsBetween(Window.unboundedPreceding, 0))
        )
        .withColumn("_place", F.row_number().over(so_far))
    )
    wanted = [_by_ratio(sampling), F.lit(sampling.max_normals)]
    if limited:
        quota_table = candidates.sparkSession.createDataFrame(list(limited.items()), "slide_id string, _quota long")
        rows = rows.join(F.broadcast(quota_table), "slide_id", "left")
        wanted.append(F.col("_quota"))
    most = F.least(*(limit.cast("long") for limit in wanted))  # null, no limit, is passed over
    is_drawn = most.isNull() | (F.col("_place") - F.col("_positives") <= most)
    return rows.where(F.col("_positive") | is_drawn).select(candidates.columns)


def _by_ratio(sampling: Sampling) -> Column:
    """Normals that the ratio allows; null where it sets no limit."""
    ratio, alone = sampling.normals_per_tumor, sampling.from_slides_without_tumor
    beside_tumor = F.lit(None) if ratio is None else F.ceil(F.col("_positives") * F.lit(ratio))
    return F.when(F.col("_positives") > 0, beside_tumor).otherwise(F.lit(alone))
