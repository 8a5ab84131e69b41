"""Patches that a collection has more than once: in a split, across splits, or with two labels."""

from dataclasses import dataclass
from typing import Final

import pandas as pd
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

COLUMNS: Final = ("pixels", "split", "slide_id", "label", "x", "y", "patch_id")


@dataclass(frozen=True)
class Duplicates:
    """How many there are.

    Attributes:
        repeated: patches that are not the first of their pixels.
        across_splits: pixels that stand in two splits, which makes figures too good.
        contradictory: pixels that have two labels, of which one is wrong.
    """

    repeated: int
    across_splits: int
    contradictory: int

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Duplicates":
        """Count them in a table from `duplicates`."""
        by_pixels = table.groupby("pixels")
        return cls(
            repeated=len(table) - by_pixels.ngroups,
            across_splits=int((by_pixels["split"].nunique() > 1).sum()),
            contradictory=int((by_pixels["label"].nunique() > 1).sum()),
        )


def duplicates(patches: DataFrame) -> DataFrame:
    """All patches whose pixels another one has, too.

    Args:
        patches: with `COLUMNS`; `pixels` is a hash of the decoded pixels.

    Returns:
        Their `COLUMNS`, equal ones together.
    """
    alike = F.count(F.lit(1)).over(Window.partitionBy("pixels"))
    columns = patches.select(*COLUMNS).withColumn("alike", alike)
    return columns.where("alike > 1").drop("alike").orderBy("pixels", "split", "slide_id", "patch_id")
