"""The draw of normals against sorting by hand: ratios, numbers and quotas."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from preprocessing.candidates import Candidates, candidate_table, keep_candidates, kept_candidates
from preprocessing.draw import Draw, Found, draw
from preprocessing.inventory import SlideEntry
from preprocessing.selection import first_not_drawn, most_normals
from preprocessing.tiling_settings import Sampling
from preprocessing.unit_report import UnitReport

WHOLE_RANGE = np.iinfo(np.int64)


def some_hashes(count: int, seed: int = 1) -> NDArray[np.int64]:
    """All different, from end to end of the range, as the hashes of positions are."""
    random = np.random.default_rng(seed).integers(WHOLE_RANGE.min, WHOLE_RANGE.max, count - 2, endpoint=True)
    return np.concatenate([random, [WHOLE_RANGE.min, WHOLE_RANGE.max]])


@pytest.mark.parametrize("wanted", [0, 1, 2, 17, 4_999, 9_998, 9_999])
def test_as_many_hashes_as_wanted_are_smaller_than_the_first_that_is_not_drawn(wanted: int) -> None:
    hashes = some_hashes(10_000)
    parts = np.array_split(hashes, 7)
    assert first_not_drawn(lambda: parts, wanted) == sorted(hashes.tolist())[wanted]


def test_crowded_hashes_are_told_apart() -> None:
    """Many in one bin, as no hash makes them: slower, but right."""
    hashes = np.random.default_rng(3).permutation(np.arange(-300, 300))
    drawn = [first_not_drawn(lambda: [hashes[:7], hashes[7:]], wanted) for wanted in (0, 1, 299, 300, 599)]
    assert drawn == [-300, -299, -1, 0, 299]


def test_a_draw_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="5 of 5 hashes leave none"):
        first_not_drawn(lambda: [np.arange(5)], 5)


@pytest.mark.parametrize(
    ("sampling", "quota", "beside_seven", "alone"),
    [
        (Sampling(normals_per_tumor=1.0, from_slides_without_tumor=10), None, 7, 10),
        (Sampling(normals_per_tumor=0.5, from_slides_without_tumor=0), None, 4, 0),
        (Sampling(normals_per_tumor=2.3, from_slides_without_tumor=40), None, 17, 40),
        (Sampling(normals_per_tumor=0.0, from_slides_without_tumor=3), None, 0, 3),
        (Sampling(normals_per_tumor=None, from_slides_without_tumor=5), None, None, 5),
        (Sampling(normals_per_tumor=1.0, from_slides_without_tumor=None), None, 7, None),
        (Sampling(normals_per_tumor=None, from_slides_without_tumor=None), None, None, None),
        (Sampling(normals_per_tumor=None, from_slides_without_tumor=None, max_normals=4), None, 4, 4),
        (Sampling(normals_per_tumor=None, from_slides_without_tumor=None, max_normals=0), None, 0, 0),
        (Sampling(normals_per_tumor=2.0, from_slides_without_tumor=12, max_normals=9), 11, 9, 9),
        (Sampling(normals_per_tumor=2.0, from_slides_without_tumor=12, max_normals=9), 3, 3, 3),
        (Sampling(normals_per_tumor=None, from_slides_without_tumor=None), 30, 30, 30),
    ],
)
def test_the_first_limit_that_is_reached_counts(
    sampling: Sampling, quota: int | None, beside_seven: int | None, alone: int | None
) -> None:
    assert most_normals(7, sampling, quota) == beside_seven
    assert most_normals(0, sampling, quota) == alone


def surveyed(staging: Path, slide_id: str, label: NDArray[np.int32] | None, quota: int | None) -> Found:
    """90 candidates in three units, one of which is empty, kept as the survey keeps them; 20 and 21 are marked, too."""
    origins = np.stack([np.arange(90), np.arange(90) // 7], axis=1).astype(np.int32)
    reports = [UnitReport(slide_id, 1)]
    for shard, rows in ((0, slice(0, 50)), (2, slice(50, 90))):
        mine = None if label is None else label[rows]
        fraction = None if mine is None else (mine > 0).astype(np.float32)
        certain = np.zeros(len(origins[rows]), bool) if mine is None else (mine > 0) | (origins[rows, 0] // 2 == 10)
        found = Candidates(origins[rows], np.ones(len(origins[rows]), np.float32), mine, fraction, certain)
        table = candidate_table(found, slide_id, 2.0, "recipe")
        keep_candidates(table, str(staging), slide_id, shard)
        positives = 0 if mine is None else int((mine > 0).sum())
        reports.append(UnitReport(slide_id, shard, len(table), positives, certain=int(certain.sum())))
    entry = SlideEntry(slide_id, f"{slide_id}.tif", slide_id, "train", "fingerprint", max_normals=quota)
    return Found.of(entry, reports)


@pytest.fixture
def three(tmp_path: Path) -> list[Found]:
    """A slide with positives of two classes, one without, and one that is not labeled and has a quota."""
    (tmp_path / "_writing").mkdir()
    label = np.array([1] * 5 + [0] * 70 + [2] * 2 + [0] * 13, np.int32)
    return [
        surveyed(tmp_path, "tumor", label, None),
        surveyed(tmp_path, "bare", np.zeros(90, np.int32), None),
        surveyed(tmp_path, "unknown", None, 13),
    ]


def taken(staging: Path, found: Found, drawn: Draw) -> set[int]:
    """The drawn normals, by sorting all of them."""
    rows = [kept_candidates(str(staging), found.entry.slide_id, shard).to_pylist() for shard in found.shards]
    normals = sorted(row["patch_id"] for row in itertools.chain(*rows) if not row["certain"])
    below = {patch_id for patch_id in normals if drawn.limit is None or patch_id < drawn.limit}
    assert below == set(normals[: drawn.normals])  # the lowest, and as many as promised
    return below


def test_each_slide_is_drawn_by_itself_and_by_lowest_hash(
    spark: SparkSession, tmp_path: Path, three: list[Found]
) -> None:
    sampling = Sampling(normals_per_tumor=1.5, from_slides_without_tumor=40)
    draws = draw(spark, three, sampling, str(tmp_path))
    drawn = [len(taken(tmp_path, found, draws[found.entry.slide_id])) for found in three]
    assert drawn == [math.ceil(1.5 * 7), 40, 13]


def test_more_is_kept_with_every_limit_that_is_raised(spark: SparkSession, tmp_path: Path, three: list[Found]) -> None:
    """The draw is nested: raising a ratio only adds patches, so that a table can be compared with its larger sister."""
    for found in three[:2]:
        kept = []
        for ratio, alone in ((0.5, 3), (1.0, 7), (3.0, 30), (None, None)):
            sampling = Sampling(normals_per_tumor=ratio, from_slides_without_tumor=alone)
            drawn = draw(spark, [found], sampling, str(tmp_path))[found.entry.slide_id]
            kept.append(taken(tmp_path, found, drawn))
        assert all(fewer < more for fewer, more in itertools.pairwise(kept))
        assert len(kept[-1]) == found.normals


def test_candidates_that_cannot_be_read_fail_their_slide_alone(
    spark: SparkSession, tmp_path: Path, three: list[Found]
) -> None:
    (tmp_path / "candidates" / "tumor" / "00002.parquet").write_bytes(b"no table")
    draws = draw(spark, three, Sampling(), str(tmp_path))
    failures = {slide_id: drawn.failure for slide_id, drawn in draws.items()}
    assert failures["tumor"] is not None
    assert "magic bytes" in failures["tumor"].error
    assert failures["bare"] is None
    assert failures["unknown"] is None
