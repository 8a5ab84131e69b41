"""The arithmetic of benchmarks, on numbers that one can check by hand."""

import pytest

from benchmarks.pairs import Run, Spread, Way, in_turn, measured, ratio, timed
from benchmarks.report import Bar


def test_the_fixed_part_is_taken_off_before_tiles_are_divided_by_seconds() -> None:
    way = Way([Run(3.0, 100), Run(2.0, 100), Run(6.0, 100)], Run(1.0))
    assert way.rates == [50.0, 100.0, 20.0]
    assert way.rate == Spread(50.0, 20.0, 100.0)


def test_ratios_are_of_neighbors_in_time_so_that_a_slow_round_slows_both() -> None:
    ours = Way([Run(1.0, 100), Run(10.0, 100), Run(2.0, 100)])
    peer = Way([Run(3.0, 90), Run(30.0, 90), Run(6.0, 90)])
    spread = ratio(ours, peer)
    assert spread.low == spread.high == pytest.approx(100 / 30)


def test_processor_time_has_its_own_rate() -> None:
    assert Way([Run(9.0, 80, cpu=5.0)], Run(0.5, cpu=1.0)).per_cpu_second == Spread(20.0, 20.0, 20.0)


def test_the_median_of_the_tiny_job_is_the_fixed_part() -> None:
    runs = {"ours": [Run(4.0, 10, cpu=3.0)] * 3, "tiny": [Run(1.0, cpu=0.5), Run(9.0, cpu=0.1), Run(2.0, cpu=0.9)]}
    assert measured(runs, "ours", "tiny").fixed == Run(2.0, cpu=0.5)
    assert measured(runs, "ours").fixed == Run(0.0)


def test_a_run_no_longer_than_its_fixed_part_says_nothing() -> None:
    with pytest.raises(ValueError, match=r"no more than its fixed part of 2\.00 s"):
        _ = Way([Run(1.5, 10)], Run(2.0)).rates


def test_the_same_work_has_to_give_the_same_number_of_tiles() -> None:
    with pytest.raises(ValueError, match=r"different numbers of tiles: \[9, 10\]"):
        _ = Way([Run(1.0, 10), Run(1.0, 9)]).tiles


def test_all_ways_run_once_uncounted_and_then_in_turn_there_and_back() -> None:
    order: list[str] = []

    def way(name: str) -> Run:
        order.append(name)
        return Run(1.0, len(order))

    runs = in_turn({"a": lambda: way("a"), "b": lambda: way("b")}, rounds=2)
    assert order == ["a", "b", "a", "b", "b", "a"]
    assert [run.tiles for run in runs["a"]] == [3, 6]


def test_a_number_that_the_work_returns_is_its_tiles() -> None:
    assert timed(lambda: 7).tiles == 7
    assert timed(lambda: None).tiles == 0


@pytest.mark.parametrize(("middle", "verdict"), [(3.0, "met"), (2.99, "NOT MET")])
def test_a_bar_is_met_by_the_median(middle: float, verdict: str, capsys: pytest.CaptureFixture[str]) -> None:
    Bar("ours / peer", Spread(middle, 1.0, 9.0), 3).tell()
    assert capsys.readouterr().out.rstrip().endswith(f"bar 3: {verdict}")
