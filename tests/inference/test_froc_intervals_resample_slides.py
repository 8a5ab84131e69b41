"""The intervals of FROC and slide AUC: whole slides drawn with replacement, each resample judged like the whole."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.camelyon16 import JudgedDetections
from inference.evaluation_figures import froc_figure, slide_roc_figure
from inference.froc import RATES, froc, resampled_sensitivities
from inference.slide_roc import slide_roc
from tests.inference.slow_camelyon16 import SlowSlide, slow_curve, slow_sensitivity
from training.intervals import draw_counts, slide_draws


def random_slides(count: int, seed: int, holding: float = 0.6) -> tuple[list[JudgedDetections], list[SlowSlide]]:
    rng = np.random.default_rng(seed)
    slides, slow = [], []
    for _ in range(count):
        number = int(rng.integers(1, 4)) if rng.random() < holding else 0
        lesions = np.where(rng.random(number) < 0.7, np.round(rng.random(number), 2), 0.0)
        false, isolated = np.round(rng.random(rng.integers(0, 12)) * 0.8, 2), int(rng.random() < 0.1)
        slides.append(JudgedDetections(lesions, false, isolated))
        slow.append(SlowSlide(false.tolist(), lesions.tolist() + [0.0] * isolated, number))
    return slides, slow


@pytest.mark.parametrize("seed", range(6))
def test_each_resample_is_judged_like_a_run_of_its_slides(seed: int) -> None:
    """Also its lowest score is its own, and false positives are shared by its number of slides."""
    slides, slow = random_slides(7, seed, holding=0.4)
    draws = slide_draws(7, seed, resamples=40)
    got = resampled_sensitivities(slides, draw_counts(draws))
    for row, drawn in zip(got, draws, strict=True):
        again = [slow[number] for number in drawn]
        if not sum(slide.lesions for slide in again):
            assert np.isnan(row).all()
            continue
        points = slow_curve(again)
        assert row.tolist() == pytest.approx([slow_sensitivity(points, rate) for rate in RATES])


def test_intervals_are_the_middle_95_percent() -> None:
    slides, _ = random_slides(40, 3)
    found = froc(slides, seed=11)
    values = resampled_sensitivities(slides, draw_counts(slide_draws(40, 11)))
    assert found.interval is not None
    assert found.curve is not None
    wanted = np.nanquantile(values.mean(axis=1), [0.025, 0.975])
    assert [found.interval.low, found.interval.high] == pytest.approx(wanted.tolist())
    assert found.interval.low < found.curve.score < found.interval.high
    for column, rate in enumerate(RATES):
        wanted = np.nanquantile(values[:, column], [0.025, 0.975])
        assert [found.at_rates[rate].low, found.at_rates[rate].high] == pytest.approx(wanted.tolist())


def test_the_same_seed_gives_the_same_interval_and_another_one_another() -> None:
    slides, _ = random_slides(30, 4)
    assert froc(slides, 7).interval == froc(slides, 7).interval
    assert froc(slides, 7).interval != froc(slides, 8).interval


def test_too_few_slides_with_lesions_have_no_interval() -> None:
    slides, _ = random_slides(4, 1, holding=1.0)
    normal, _ = random_slides(30, 2, holding=0.0)
    found = froc([*slides, *normal], 7)
    assert found.curve is not None
    assert found.interval is None
    assert found.at_rates == {}
    assert "no interval: 34 slides, 4 of them with lesions that count; at least 5 are needed" in found.note


def test_slides_without_lesions_say_so_instead_of_a_number() -> None:
    normal, _ = random_slides(30, 2, holding=0.0)
    found = froc(normal, 7)
    assert (found.curve, found.interval) == (None, None)
    assert found.note == "no FROC: 30 slides, 0 of them with lesions that count"


def test_slide_auc_is_the_chance_that_tumor_outranks_none() -> None:
    """Of 2 x 3 pairs 4 are won and one is even."""
    found = slide_roc([True, False, False, True, False], [0.9, 0.5, 0.2, 0.5, 0.6], seed=7)
    assert found.auc == pytest.approx((4 + 0.5) / 6)
    assert found.interval is None
    assert "at least 5 of each are needed" in found.note


@pytest.mark.parametrize("positive", [True, False])
def test_slides_of_one_class_have_no_auc(positive: bool) -> None:
    found = slide_roc([positive] * 8, [0.1] * 8, seed=7)
    assert (found.auc, found.curve, found.interval) == (None, None, None)
    assert found.note == f"no slide AUC: 8 slides, {8 * positive} with tumor and {8 * (not positive)} without"


def test_slide_auc_interval_draws_slides() -> None:
    rng = np.random.default_rng(2)
    positive = rng.random(24) < 0.5
    scores = np.round(rng.random(24) * 0.6 + 0.3 * positive, 1)
    found = slide_roc(positive.tolist(), scores.tolist(), seed=5)
    values = []
    for drawn in slide_draws(24, 5):
        high, low = scores[drawn][positive[drawn]], scores[drawn][~positive[drawn]]
        if len(high) and len(low):
            pairs = np.sign(high[:, None] - low[None, :])
            values.append((pairs.mean() + 1) / 2)
    assert found.interval is not None
    assert [found.interval.low, found.interval.high] == pytest.approx(np.quantile(values, [0.025, 0.975]).tolist())


@pytest.mark.parametrize("lesions", [[0.9, 0.0], [0.0]])
def test_figures_are_drawn_with_and_without_detections(lesions: list[float], tmp_path: Path) -> None:
    slides = [JudgedDetections(np.array(lesions), np.array([0.7] * 3 * len(lesions[1:])), 0)]
    found = froc(slides, 7)
    assert found.curve is not None
    froc_figure("drawn", found.curve, found).savefig(f"{tmp_path}/froc.png")
    slide_roc_figure("drawn", slide_roc([True, False], [0.7, 0.2], 7)).savefig(f"{tmp_path}/roc.png")
    for name in ("froc", "roc"):
        with Image.open(f"{tmp_path}/{name}.png") as plot:
            assert min(plot.size) > 300
