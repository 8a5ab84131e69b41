"""From slides to candidate positions: reads every block at scale 0 once, judges tissue and truth.

The NumPy core (`survey_block`) knows nothing of Spark; `survey` runs it over units of work.
"""

import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from cluster.worker import keep_archive_listings
from preprocessing.grid import Block, Grid, blocks, shards, to_level_0
from preprocessing.hashing import patch_ids
from preprocessing.inventory import SlideEntry
from preprocessing.labels import Truth, open_truth
from preprocessing.recipe import Recipe
from preprocessing.slides import Slide
from preprocessing.tiling_settings import Labels, Tiling
from preprocessing.tissue import is_tissue, window_sums

# A row is a candidate, or (x null) the report of a unit: how long it took, or how it failed.
CANDIDATE_COLUMNS: Final = (
    "slide_id string, shard int, patch_id long, x int, y int, column int, row int, label int, center_fraction float, "
    "tissue_fraction float, seconds double, error_type string, error string, trace string"
)


@dataclass(frozen=True)
class Candidates:
    """Positions worth a patch.

    Attributes:
        origins: (n, 2) int32, top-left of the scale-0 window, scale-0 pixels.
        tissue_fraction: (n,) float32, share of the window.
        center_fraction: (n,) float32, annotated share of the center; None where nothing is known.
        positive: (n,) bool; None where nothing is known.
    """

    origins: NDArray[np.int32]
    tissue_fraction: NDArray[np.float32]
    center_fraction: NDArray[np.float32] | None
    positive: NDArray[np.bool_] | None


def grid_of(tiling: Tiling) -> Grid:
    """The grid that a recipe asks for."""
    return Grid(tiling.window, tiling.stride, tiling.offset)


def slide_shards(slide: Slide, slide_id: str, recipe: Recipe) -> list[list[Block]]:
    """The units of work of a slide; see `grid.shards`."""
    tiling = recipe.tiling
    width, height = slide.info.level_sizes[tiling.scales[0].level]
    every = blocks(grid_of(tiling), width, height, tiling.block)
    return shards(every, slide_id, recipe.recipe_id, tiling.blocks_per_shard)


def count_shards(slide: Slide, tiling: Tiling) -> int:
    """How many units of work a slide makes."""
    width, height = slide.info.level_sizes[tiling.scales[0].level]
    return -(-len(blocks(grid_of(tiling), width, height, tiling.block)) // tiling.blocks_per_shard)


def survey_block(slide: Slide, block: Block, truth: Truth | None, tiling: Tiling) -> Candidates:
    """Judge every window of a block.

    All positives are candidates; of the others those with more tissue than `tissue.min_fraction`.
    Memory: about 16 bytes a pixel of the block.

    Args:
        slide: open.
        block: to be read.
        truth: what is annotated; None leaves the candidates unlabeled.
        tiling: grid, tissue and label rules.
    """
    level = tiling.scales[0].level
    origins = block.origins(grid_of(tiling), *slide.info.level_sizes[level])
    if len(origins) == 0:
        return _judged(origins, np.zeros(0, np.float32), None if truth is None else np.zeros(0, np.float32), tiling)
    x, y = (int(corner) for corner in origins.min(axis=0))
    width, height = (int(extent) for extent in np.ptp(origins, axis=0) + tiling.window)
    tissue = is_tissue(slide.read(level, x, y, width, height), tiling.tissue)
    inside = origins - np.array([x, y], np.int32)
    tissue_fraction = (window_sums(tissue, inside, tiling.window) / tiling.window**2).astype(np.float32)
    center_fraction = None
    if truth is not None:
        center_fraction = center_fractions(truth, origins, tiling)
    return _judged(origins, tissue_fraction, center_fraction, tiling)


def center_fractions(truth: Truth, origins: NDArray[np.int32], tiling: Tiling) -> NDArray[np.float32]:
    """Annotated share of the centers of some windows.

    Args:
        truth: what is annotated.
        origins: (n, 2) top-left corners of the windows, scale-0 pixels, n at least 1; neighbors, e.g. of one block.
        tiling: window and center.

    Returns:
        (n,) float32. Memory: about 10 bytes a pixel of the bounding square.
    """
    corners = origins + np.int32((tiling.window - tiling.center) // 2)
    x, y = (int(corner) for corner in corners.min(axis=0))
    width, height = (int(extent) for extent in np.ptp(corners, axis=0) + tiling.center)
    annotated = truth.annotated(x, y, width, height)
    sums = window_sums(annotated, corners - np.array([x, y], np.int32), tiling.center)
    return (sums / tiling.center**2).astype(np.float32)


def _judged(
    origins: NDArray[np.int32],
    tissue_fraction: NDArray[np.float32],
    center_fraction: NDArray[np.float32] | None,
    tiling: Tiling,
) -> Candidates:
    keep = tissue_fraction > np.float32(tiling.tissue.min_fraction)
    if center_fraction is None:
        return Candidates(origins[keep], tissue_fraction[keep], None, None)
    positive = is_positive(center_fraction, tiling.labels)
    keep = keep | positive
    return Candidates(origins[keep], tissue_fraction[keep], center_fraction[keep], positive[keep])


def is_positive(center_fraction: NDArray[np.float32], labels: Labels) -> NDArray[np.bool_]:
    """The label rule: `any` annotated pixel in the center, or at least a `fraction` of it."""
    if labels.rule == "any":
        return center_fraction > 0
    return center_fraction >= np.float32(labels.min_fraction or 0)


def survey(units: DataFrame, entries: Mapping[str, SlideEntry], recipe: Recipe) -> DataFrame:
    """Find the candidates of many units of work.

    Args:
        units: `slide_id string, shard int`, one row a unit.
        entries: the slides of these units, by slide_id; travels to the workers.
        recipe: what to cut.

    Returns:
        `CANDIDATE_COLUMNS`: the candidates, and one report of each unit. A unit that fails reports the error instead
        of stopping the job.
    """

    def work(frames: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
        keep_archive_listings()
        for frame in frames:
            for slide_id, shard in zip(frame["slide_id"], frame["shard"], strict=True):
                yield from _survey_unit(entries[slide_id], int(shard), recipe)

    return units.mapInPandas(work, CANDIDATE_COLUMNS)


def _survey_unit(entry: SlideEntry, shard: int, recipe: Recipe) -> Iterator[pd.DataFrame]:
    """One frame a block, so that memory is bounded by a block; the report comes last."""
    started = time.monotonic()
    try:
        with Slide(entry.path) as slide:
            info, tiling = slide.info, recipe.tiling
            level = tiling.scales[0].level
            with open_truth(entry, info, level, tiling.labels) as truth:
                for block in slide_shards(slide, entry.slide_id, recipe)[shard]:
                    found = survey_block(slide, block, truth, tiling)
                    yield _frame(entry.slide_id, shard, found, info.downsamples[level], recipe.recipe_id)
        yield _report(slide_id=entry.slide_id, shard=shard, seconds=time.monotonic() - started)
    except Exception as error:  # whatever one slide does, the others go on; the ledger gets the cause
        yield failure_frame(entry.slide_id, shard, error)


def _frame(slide_id: str, shard: int, found: Candidates, downsample: float, recipe_id: str) -> pd.DataFrame:
    xy = to_level_0(found.origins, downsample)
    count = len(xy)
    return pd.DataFrame(
        {
            "slide_id": slide_id,
            "shard": shard,
            "patch_id": patch_ids(slide_id, recipe_id, xy),
            "x": xy[:, 0],
            "y": xy[:, 1],
            "column": found.origins[:, 0],
            "row": found.origins[:, 1],
            "label": pd.array([pd.NA] * count if found.positive is None else found.positive.astype(int), "Int32"),
            "center_fraction": np.full(count, None) if found.center_fraction is None else found.center_fraction,
            "tissue_fraction": found.tissue_fraction,
            "seconds": None,
            "error_type": None,
            "error": None,
            "trace": None,
        }
    )


def failure_frame(slide_id: str, shard: int, error: Exception) -> pd.DataFrame:
    """The one row that a failed unit leaves."""
    return _report(
        slide_id=slide_id,
        shard=shard,
        error_type=type(error).__name__,
        error=str(error),
        trace=traceback.format_exc(),
    )


def _report(**known: object) -> pd.DataFrame:
    empty = {column.split()[0]: None for column in CANDIDATE_COLUMNS.split(", ")}
    return pd.DataFrame([empty | known])
