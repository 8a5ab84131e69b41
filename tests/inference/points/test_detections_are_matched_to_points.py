"""Which detection finds which point: by hand, and as the published procedure counts where points lie apart."""

import math

import numpy as np
import pytest

from inference.points.matching import Kind, matched_points
from tests.inference.painted import detections

FOUND, REPEATED, FALSE = Kind.FOUND, Kind.REPEATED, Kind.FALSE


def kinds(points: list[tuple[float, float]], found: list[tuple[float, float, float]], radius: float = 30) -> list[int]:
    xy = np.array(points, np.float64).reshape(-1, 2)
    return matched_points(xy, detections(found), radius).kinds.tolist()


def test_a_detection_at_the_radius_finds_the_point_and_one_beyond_is_false() -> None:
    assert kinds([(100, 100)], [(130, 100, 0.9)]) == [FOUND]
    assert kinds([(100, 100)], [(130.5, 100, 0.9)]) == [FALSE]
    assert kinds([(100, 100)], [(118, 124, 0.9)]) == [FOUND]  # 30 px by air


def test_of_several_on_one_point_the_highest_finds_it_and_the_others_do_not_count() -> None:
    found = [(100, 110, 0.5), (100, 100, 0.8), (90, 100, 0.8), (300, 300, 0.99)]
    assert kinds([(100, 100)], found) == [REPEATED, FOUND, REPEATED, FALSE]
    matched = matched_points(np.array([[100.0, 100.0]]), detections(found), 30)
    assert matched.scores.tolist() == [0.8]
    assert matched.found.tolist() == [True]


def test_a_detection_takes_the_nearest_point_that_is_left() -> None:
    """Two points 40 px apart, two detections between them: the second takes the farther one."""
    assert kinds([(100, 100), (140, 100)], [(115, 100, 0.9), (118, 100, 0.8)]) == [FOUND, FOUND]
    matched = matched_points(np.array([[100.0, 100], [140, 100]]), detections([(115, 100, 0.9), (118, 100, 0.8)]), 30)
    assert matched.scores.tolist() == [0.9, 0.8]


def test_each_detection_finds_one_point() -> None:
    points = np.array([[100.0, 100], [110, 100]])
    matched = matched_points(points, detections([(104, 100, 0.9)]), 30)
    assert matched.found.tolist() == [True, False]


def test_without_points_all_are_false_and_without_detections_all_are_missed() -> None:
    assert kinds([], [(5, 5, 0.7)]) == [FALSE]
    matched = matched_points(np.array([[1.0, 2.0]]), detections([]), 30)
    assert (matched.kinds.tolist(), matched.scores.tolist(), matched.found.tolist()) == ([], [0], [False])


def published(
    points: list[list[float]], found: list[tuple[float, float, float]], radius: float
) -> tuple[int, int, int]:
    """Points found, false positives, points missed: any detection near a point finds it (deep-histopath)."""
    near = [[math.dist(point, it[:2]) <= radius for it in found] for point in points]
    hits = sum(any(row) for row in near)
    false = sum(not any(row[k] for row in near) for k in range(len(found)))
    return hits, false, len(points) - hits


@pytest.mark.parametrize("seed", range(20))
def test_counts_are_the_published_ones_where_points_lie_apart(seed: int) -> None:
    """More than twice the radius: there no detection is near two points."""
    rng = np.random.default_rng(seed)
    points = [[70.0 * column, 70.0 * row] for row in range(6) for column in range(6) if rng.random() < 0.4]
    count = int(rng.integers(0, 60))
    found = [(*it, float(score)) for it, score in zip(rng.uniform(0, 400, (count, 2)), rng.random(count), strict=True)]
    matched = matched_points(np.array(points).reshape(-1, 2), detections(found), 30)
    hits, false, missed = published(points, found, 30)
    assert ((matched.kinds == FOUND).sum(), (matched.kinds == FALSE).sum()) == (hits, false)
    assert (~matched.found).sum() == missed
    assert matched.found.sum() == hits
