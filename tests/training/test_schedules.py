"""Rates after so many examples, against values worked out by hand."""

import math

import pytest

from preprocessing.training_settings import Constant, Halved, OneCycle, Stage
from training.schedules import momentum_schedule, rate_schedule

CYCLE = OneCycle(peak=1.0, warm_up=0.25)
STEPS = 400  # of which 100 lead up


def test_the_constant_rate_stays() -> None:
    rate = rate_schedule(Stage(rate=Constant(value=3e-4)), 10, 32)
    assert [float(rate(step)) for step in (0, 9)] == pytest.approx([3e-4, 3e-4])


@pytest.mark.parametrize(
    ("examples", "rate"),
    [
        (0, 0.05),
        (1_999_968, 0.05),
        (2_000_000, 0.025),
        (3_999_968, 0.025),
        (4_000_000, 0.0125),
        (20_000_000, 0.05 / 1024),
    ],
)
def test_the_papers_rate_halves_every_two_million_examples(examples: int, rate: float) -> None:
    schedule = rate_schedule(Stage(rate=Halved()), 10**6, 32)
    assert float(schedule(examples // 32)) == pytest.approx(rate)


def test_a_stair_comes_with_the_first_step_that_has_seen_enough_where_batches_do_not_fit() -> None:
    schedule = rate_schedule(Stage(rate=Halved(start=1.0, every=100)), 100, 48)
    # 96 examples after two steps, 144 after three; 192 after four, 240 after five.
    assert [float(schedule(step)) for step in range(7)] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    long = rate_schedule(Stage(rate=Halved(start=1.0, every=2_000_000)), 10**9, 48)
    assert float(long(124_999)) == 0.25  # 5,999,952
    assert float(long(125_000)) == 0.125  # 6,000,000


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 1 / 25),  # fastai: the peak over 25
        (50, (1 + 1 / 25) / 2),  # halfway up
        (100, 1.0),
        (250, (1 + 1 / 25e4) / 2),  # halfway down
        (400, 1 / 25e4),
        (175, 1 / 25e4 + (1 - 1 / 25e4) * (1 + math.cos(math.pi / 4)) / 2),
    ],
)
def test_one_cycle_at_its_corners(step: int, rate: float) -> None:
    schedule = rate_schedule(Stage(rate=CYCLE), STEPS, 32)
    assert float(schedule(step)) == pytest.approx(rate, rel=1e-5, abs=1e-7)


def test_the_way_up_is_a_line_or_a_cosine() -> None:
    line = rate_schedule(Stage(rate=CYCLE.model_copy(update={"shape": "linear"})), STEPS, 32)
    cosine = rate_schedule(Stage(rate=CYCLE), STEPS, 32)
    start = 1 / 25
    assert float(line(25)) == pytest.approx(start + (1 - start) / 4)
    assert float(cosine(25)) == pytest.approx(start + (1 - start) * (1 - math.cos(math.pi / 4)) / 2)
    assert float(line(250)) == float(cosine(250))


def test_the_momentum_goes_the_other_way() -> None:
    momentum, rate = momentum_schedule(CYCLE, STEPS), rate_schedule(Stage(rate=CYCLE), STEPS, 32)
    assert [float(momentum(step)) for step in (0, 50, 100, 250, 400)] == pytest.approx([0.95, 0.9, 0.85, 0.9, 0.95])
    steps = range(0, STEPS, 10)
    by_rate = sorted(steps, key=lambda step: float(rate(step)))
    # The two ends differ in rate, not in momentum: compare on each side of the peak.
    for side in ([step for step in by_rate if step <= 100], [step for step in by_rate if step >= 100]):
        values = [float(momentum(step)) for step in side]
        assert values == sorted(values, reverse=True)


def test_schedules_come_back_from_their_settings() -> None:
    for rate in (Constant(), Halved(), CYCLE):
        schedule = rate_schedule(Stage(rate=rate), STEPS, 32)
        again = type(schedule).from_config(schedule.get_config())
        assert float(again(123)) == float(schedule(123))
