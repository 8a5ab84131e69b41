"""Precision, recall and F1 at every threshold and their intervals are those of judging again by plain loops."""

import csv
import io
from dataclasses import dataclass

import numpy as np
import pytest

from inference.points.findings import Asked, point_report
from inference.points.matching import matched_points
from inference.points.scores import Counts, JudgedPoints, point_scores
from inference.run_output import LeftOut
from tests.inference.painted import detections
from training.intervals import slide_draws

Found = list[tuple[float, float, float]]


@dataclass(frozen=True)
class Slide:
    points: list[tuple[float, float]]
    found: Found

    def judged(self, name: str, least: float = 0) -> JudgedPoints:
        xy = np.array(self.points, np.float64).reshape(-1, 2)
        kept = detections([it for it in self.found if it[2] >= least])
        labels = np.ones(len(xy), np.int64)
        return JudgedPoints(name, xy, labels, kept, matched_points(xy, kept, 30), False)


BY_HAND = [
    Slide([(100, 100), (300, 100)], [(105, 100, 0.9), (100, 110, 0.6), (500, 500, 0.7)]),  # one found, twice; one false
    Slide([(50, 50)], [(50, 60, 0.8)]),
    Slide([], [(10, 10, 0.65)]),
    Slide([(9, 9)], []),
]


def named(slides: list[Slide]) -> list[JudgedPoints]:
    return [slide.judged(f"s{k}") for k, slide in enumerate(slides)]


def test_by_hand() -> None:
    scores = point_scores(named(BY_HAND), 1)
    assert scores.counts == Counts(found=2, false=2, points=4)
    assert (scores.counts.precision, scores.counts.recall, scores.counts.f1) == (0.5, 0.5, 0.5)
    assert scores.thresholds.tolist() == [0.9, 0.8, 0.7, 0.65, 0.6]
    assert scores.at == (Counts(1, 0, 4), Counts(2, 0, 4), Counts(2, 1, 4), Counts(2, 2, 4), Counts(2, 2, 4))
    assert scores.best == 1
    assert scores.at[1].f1 == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert scores.intervals.of == {}
    assert scores.intervals.note == "no interval: 4 slides, 3 of them with points; at least 5 are needed"


def test_nothing_to_find_and_nothing_found_is_no_number() -> None:
    scores = point_scores(named([Slide([], [])]), 1)
    assert (scores.counts.precision, scores.counts.recall, scores.counts.f1) == (None, None, None)
    assert (scores.best, scores.at) == (None, ())
    missed = Counts(found=0, false=0, points=3)
    assert (missed.precision, missed.recall, missed.f1) == (None, 0, 0)


def some(seed: int, count: int) -> list[Slide]:
    rng = np.random.default_rng(seed)
    slides = []
    for _ in range(count):
        points = [(float(x), float(y)) for x, y in rng.uniform(0, 400, (rng.integers(0, 8), 2))]
        near = [(x + rng.normal(0, 20), y + rng.normal(0, 20)) for x, y in points for _ in range(rng.integers(0, 3))]
        near += [(float(x), float(y)) for x, y in rng.uniform(0, 400, (rng.integers(0, 5), 2))]
        slides.append(Slide(points, [(x, y, round(float(rng.random()), 1)) for x, y in near]))
    return slides


@pytest.mark.parametrize("seed", range(4))
def test_every_threshold_is_that_of_the_detections_from_it_on(seed: int) -> None:
    """With many equal probabilities."""
    slides = some(seed, 6)
    scores = point_scores(named(slides), 1)
    assert len(scores.thresholds) > 5
    for threshold, counts in zip(scores.thresholds, scores.at, strict=True):
        assert counts == sum((it.judged("s", threshold).counts for it in slides), Counts(0, 0, 0))
    assert scores.at[-1] == scores.counts


def test_intervals_resample_slides() -> None:
    judged = named(some(7, 12))
    scores = point_scores(judged, 5)
    drawn = [sum((judged[k].counts for k in draw), Counts(0, 0, 0)) for draw in slide_draws(12, 5).tolist()]
    for name in ("precision", "recall", "f1"):
        low, high = np.quantile([getattr(counts, name) for counts in drawn], [0.025, 0.975])
        interval = scores.intervals.of[name]
        assert (interval.low, interval.high) == pytest.approx((low, high))
        assert interval.low < getattr(scores.counts, name) < interval.high


def test_report_lists_every_slide_detection_and_point() -> None:
    report = point_report(
        reversed(named(BY_HAND)),
        [LeftOut("bad", "failed", "infer failed: x")],
        Asked("t", 30, ("normal", "mitosis"), 1),
    )
    assert report.exit_code == 3
    lines = list(csv.DictReader(io.StringIO(report.findings.slides)))
    assert [line["slide_id"] for line in lines] == ["s0", "s1", "s2", "s3"]
    assert [lines[0][name] for name in ("points", "found", "false_positives", "repeated")] == ["2", "1", "1", "1"]
    assert [lines[2][name] for name in ("precision", "recall", "f1")] == ["0.000000", "", "0.000000"]
    kinds = [line["kind"] for line in csv.DictReader(io.StringIO(report.files["detections.csv"]))]
    assert kinds == ["found", "repeated", "false", "found", "false"]
    points = list(csv.DictReader(io.StringIO(report.files["true_points.csv"])))
    assert [(line["found"], line["class"]) for line in points] == [(it, "mitosis") for it in "1010"]
    values = report.findings.values
    assert values["detections"]["best"]["threshold"] == 0.8
    assert values["detections"]["f1"] == {"value": 0.5, "interval": None}
    assert values["slides"]["repeated_detections"] == 1
    assert values["left_out"] == {"bad": {"why": "failed", "reason": "infer failed: x"}}
    assert [drawing.name for drawing in report.findings.drawings] == ["detection_thresholds"]
    assert "| f1 from probability 0.8000 on, the best | 0.6667 |" in report.findings.markdown()
