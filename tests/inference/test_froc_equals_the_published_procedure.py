"""Detections against lesions, and the FROC over slides: by arithmetic, and against plain loops on random cases."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.camelyon16 import DetectionOutsideError, Detections, JudgedDetections, judge_detections, lesion_scores
from inference.froc import RATES, froc_curve
from tests.inference.painted import MPP, at_pixels, canvas, detections, lesions_of
from tests.inference.slow_camelyon16 import SlowSlide, slow_curve, slow_froc, slow_sensitivity, slow_slide

PIXEL = MPP * 32
REACH, SMALLEST = 75 / (PIXEL * 2), 275 / PIXEL


def judged(lesions: list[float], false_positives: list[float], isolated: int = 0) -> JudgedDetections:
    return JudgedDetections(np.array(lesions, float), np.array(false_positives, float), isolated)


def two_lesions() -> NDArray[np.bool_]:
    """40 pixels (320 um) each, far apart."""
    pixels = canvas()
    pixels[10:50, 10:50] = pixels[70:110, 70:110] = True
    return pixels


def test_a_lesion_takes_its_highest_detection_and_further_ones_are_free() -> None:
    found = judge_detections(lesions_of(two_lesions()), at_pixels((20, 20, 0.6), (30, 30, 0.9), (40, 40, 0.7)))
    assert found.lesions.tolist() == [0.9, 0]
    assert found.false_positives.tolist() == []


def test_rim_of_a_lesion_is_hit_up_to_its_growth() -> None:
    """Four pixels of 8 um belong to it, the fifth does not; a detection belongs to the pixel it lies in."""
    lesions = lesions_of(two_lesions())
    left = (10 - 4) * 32  # level-0 pixel where the grown lesion starts
    assert judge_detections(lesions, detections([(left, 640, 0.8)])).lesions.tolist() == [0.8, 0]
    assert judge_detections(lesions, detections([(left - 1, 640, 0.8)])).false_positives.tolist() == [0.8]
    right = (50 + 4) * 32
    assert judge_detections(lesions, detections([(right - 1, 640, 0.8)])).lesions.tolist() == [0.8, 0]
    assert judge_detections(lesions, detections([(right, 640, 0.8)])).false_positives.tolist() == [0.8]


def test_touching_lesions_are_found_by_one_detection() -> None:
    pixels = canvas()
    pixels[10:50, 10:50] = pixels[10:50, 55:95] = True
    found = judge_detections(lesions_of(pixels), at_pixels((90, 20, 0.7)))
    assert found.lesions.tolist() == [0.7]


def test_a_hit_in_a_hole_is_a_hit() -> None:
    pixels = two_lesions()
    pixels[20:40, 20:40] = False
    assert judge_detections(lesions_of(pixels), at_pixels((30, 30, 0.7))).lesions.tolist() == [0.7, 0]


def test_isolated_tumor_cells_neither_count_nor_cost() -> None:
    pixels = two_lesions()
    pixels[20:25, 90:95] = True
    lesions = lesions_of(pixels)
    on_them = judge_detections(lesions, at_pixels((92, 22, 0.9)))
    assert (on_them.lesions.tolist(), on_them.false_positives.tolist(), on_them.isolated) == ([0, 0], [], 1)
    beside = judge_detections(lesions, at_pixels((92, 40, 0.9)))
    assert (beside.lesions.tolist(), beside.false_positives.tolist(), beside.isolated) == ([0, 0], [0.9], 1)
    assert sorted(lesion_scores(lesions, at_pixels((92, 22, 0.9))).tolist()) == [0, 0, 0.9]  # told all the same


def test_all_detections_on_a_normal_slide_are_false() -> None:
    found = judge_detections(lesions_of(canvas()), at_pixels((1, 1, 0.5), (119, 119, 0.6)))
    assert (found.lesions.tolist(), found.false_positives.tolist()) == ([], [0.5, 0.6])


@pytest.mark.parametrize("place", [(-1, 5), (5, -1), (120 * 32, 5), (5, 120 * 32)])
def test_a_detection_beyond_the_slide_is_refused(place: tuple[int, int]) -> None:
    with pytest.raises(DetectionOutsideError, match="run infer again"):
        judge_detections(lesions_of(two_lesions()), detections([(*place, 0.9)]))


def test_curve_and_score_by_arithmetic() -> None:
    """4 slides, 4 lesions. Scores .9 .8 .7 .6 .5: hit, false, hit, false, hit; the fourth lesion is missed.

    Points (false per slide, sensitivity): (0, 1/4) (1/4, 1/4) (1/4, 1/2) (1/2, 1/2) (1/2, 3/4); the 0 of the missed
    lesion is the lowest score, which is no threshold. Beyond 1/2 the last sensitivity stays.
    """
    slides = [judged([0.9, 0.7], [0.8]), judged([0.5, 0.0], []), judged([], [0.6]), judged([], [])]
    curve = froc_curve(slides)
    assert curve is not None
    assert curve.false_positives.tolist() == [0, 0, 0.25, 0.25, 0.5, 0.5]
    assert curve.sensitivity.tolist() == [0, 0.25, 0.25, 0.5, 0.5, 0.75]
    assert curve.at().tolist() == [0.5, 0.75, 0.75, 0.75, 0.75, 0.75]
    assert curve.score == pytest.approx((0.5 + 5 * 0.75) / 6)


def test_between_points_the_curve_is_a_line() -> None:
    """One slide: hit .9, three false .8 .7 .6, hit .5, one lesion missed: (0, 1/3) … (3, 1/3) (3, 2/3)."""
    curve = froc_curve([judged([0.9, 0.5, 0.0], [0.8, 0.8, 0.8])])
    assert curve is not None
    assert curve.false_positives.tolist() == [0, 0, 3, 3]
    assert curve.at([0, 1.5, 2.999, 3, 100]).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    slanted = froc_curve([judged([0.9, 0.0], [0.9, 0.9])])  # equal scores: hit and false ones come together
    assert slanted is not None
    assert slanted.at([0, 0.5, 1, 2]).tolist() == [0, 0.125, 0.25, 0.5]


def test_no_detection_at_all_finds_nothing() -> None:
    curve = froc_curve([judged([0.0], []), judged([], [])])
    assert curve is not None
    assert (curve.score, curve.at().tolist()) == (0, [0] * 6)


def test_one_detection_that_hits_one_of_two_lesions() -> None:
    curve = froc_curve([judged([0.9, 0.0], [])])
    assert curve is not None
    assert curve.score == 0.5


def test_one_detection_that_hits_the_only_lesion_is_the_lowest_score_and_lost() -> None:
    """The published procedure; isolated tumor cells anywhere bring the 0 that is lost instead."""
    alone = froc_curve([judged([0.9], [])])
    assert alone is not None
    assert alone.score == 0
    beside_isolated = froc_curve([judged([0.9], [], isolated=1)])
    assert beside_isolated is not None
    assert beside_isolated.score == 1


def test_all_detections_false() -> None:
    curve = froc_curve([judged([0.0], [0.9]), judged([], [0.8, 0.7])])
    assert curve is not None
    assert curve.score == 0
    assert curve.false_positives.tolist() == [0, 0.5, 1, 1.5]


def test_all_scores_equal() -> None:
    """One threshold, the 0 below it: one hit of 2 lesions and 2 false ones on 2 slides."""
    curve = froc_curve([judged([0.7, 0.0], [0.7]), judged([], [0.7])])
    assert curve is not None
    assert curve.false_positives.tolist() == [0, 1]
    assert curve.at().tolist() == [0.125, 0.25, 0.5, 0.5, 0.5, 0.5]


def test_normal_slides_only_have_no_froc() -> None:
    assert froc_curve([judged([], [0.9]), judged([], [])]) is None
    assert froc_curve([judged([], [0.9], isolated=2)]) is None
    assert froc_curve([]) is None


@pytest.mark.parametrize("seed", range(300))
def test_random_lists_of_scores_against_loops(seed: int) -> None:
    """From one slide to twelve, scores of few or many values, as many zeros as chance gives."""
    rng = np.random.default_rng(seed)
    digits = int(rng.choice([1, 2, 6]))
    slides, slow = [], []
    for _ in range(rng.integers(1, 13)):
        lesions = np.round(rng.random(rng.integers(0, 4)), digits) * (rng.random() < 0.8)
        false, isolated = np.round(rng.random(rng.integers(0, 30)), digits), int(rng.integers(0, 2))
        slides.append(JudgedDetections(lesions, false, isolated))
        slow.append(SlowSlide(false.tolist(), lesions.tolist() + [0.0] * isolated, len(lesions)))
    curve = froc_curve(slides)
    if not sum(slide.lesions for slide in slow):
        assert curve is None
        return
    assert curve is not None
    points = slow_curve(slow)
    assert list(zip(curve.false_positives, curve.sensitivity, strict=True)) == [
        pytest.approx(point) for point in points[::-1]
    ]
    rates = [*RATES, *rng.random(5) * 10]
    assert curve.at(rates).tolist() == pytest.approx([slow_sensitivity(points, rate) for rate in rates])
    assert curve.score == pytest.approx(slow_froc(slow))


@pytest.mark.parametrize("seed", range(20))
def test_random_slides_from_mask_to_froc(seed: int) -> None:
    """The whole procedure on slides of 40 to 60 pixels, detections anywhere, also on rims and edges."""
    rng = np.random.default_rng(seed)
    slides, slow = [], []
    for _ in range(rng.integers(1, 5)):
        height, width = (int(side) for side in rng.integers(40, 60, 2))
        pixels = np.zeros((height, width), bool)
        for _ in range(rng.integers(0, 4)):
            top, left = int(rng.integers(0, height)), int(rng.integers(0, width))
            pixels[top : top + int(rng.integers(1, 30)), left : left + int(rng.integers(1, 5))] = True
        count = int(rng.integers(0, 15))
        xs, ys = (rng.integers(0, side * 32, count).tolist() for side in (width, height))
        found = list(zip(xs, ys, np.round(rng.random(count), 1).tolist(), strict=True))
        slides.append(judge_detections(lesions_of(pixels), detections(found)))
        slow.append(slow_slide(pixels.astype(int).tolist(), found, 32, REACH, SMALLEST))
        assert sorted(slides[-1].false_positives.tolist()) == sorted(slow[-1].false_positives)
        assert len(slides[-1].lesions) == slow[-1].lesions
    curve = froc_curve(slides)
    if curve is None:
        assert not sum(slide.lesions for slide in slow)
    else:
        assert curve.score == pytest.approx(slow_froc(slow))


def test_no_detections_are_an_empty_table() -> None:
    nothing = judge_detections(lesions_of(two_lesions()), Detections.none())
    assert (nothing.lesions.tolist(), nothing.false_positives.tolist()) == ([0, 0], [])
