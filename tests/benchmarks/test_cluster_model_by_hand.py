"""The model of a cluster gives what arithmetic gives, where the answer is known without it."""

from pathlib import Path

import pytest

from benchmarks.cluster_model_jobs import Cluster, Costs, Slide, best_wave, count_units, makespan, simulate
from benchmarks.cluster_model_slides import camelyon16, tupac16
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe

FREE = Costs(area=0, window=0, patch=0, prepare=0, task=0, dispatch=0, publish=0, wave=0, job=0)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    """Windows of 256 px side by side; units of 2 x 1 blocks of 512 px, so of 8 windows."""
    settings = ("tiling.block=512", "tiling.blocks_per_shard=2")
    return load_recipe(str(ROOT / "benchmarks" / "recipes" / "tiles256.yaml"), settings)


def tissue(units: int) -> Slide:
    """A slide that is all tissue."""
    return Slide(1024 * units, 512, 1.0)


def only(**costs: float) -> Costs:
    return Costs(**{**vars(FREE), **costs})


@pytest.mark.parametrize(("tasks", "cores", "seconds"), [(12, 1, 36), (12, 4, 9), (13, 4, 12), (3, 100, 3)])
def test_equal_tasks_take_whole_rounds(tasks: int, cores: int, seconds: float) -> None:
    assert makespan([3.0] * tasks, cores) == seconds


def test_no_number_of_cores_is_faster_than_the_longest_task() -> None:
    assert makespan([1.0] * 50 + [20.0], 1000) == 20.0


def test_a_long_task_that_comes_last_is_waited_for_alone() -> None:
    assert makespan([1.0] * 8 + [10.0], 4) == 12.0
    assert makespan([10.0] + [1.0] * 8, 4) == 10.0


def test_the_driver_hands_out_one_task_after_the_other() -> None:
    assert makespan([2.0] * 1000, 1000, dispatch=0.01) == pytest.approx(1000 * 0.01 + 2.0)


def test_units_are_those_of_the_recipe(recipe: Recipe) -> None:
    assert count_units(tissue(5), recipe) == 5
    assert count_units(Slide(255, 5000, 1.0), recipe) == 0


@pytest.mark.parametrize(("cores", "seconds"), [(1, 96.0), (4, 24.0), (48, 2.0), (1000, 2.0)])
def test_equal_slides_share_the_cores(recipe: Recipe, cores: int, seconds: float) -> None:
    slides, costs = [tissue(4)] * 12, only(patch=0.25)  # 48 units of 8 windows, 2 s each
    assert simulate(slides, recipe, "one pass", costs, Cluster(cores), 12).seconds == pytest.approx(seconds)


def test_every_wave_waits_for_its_last_task(recipe: Recipe) -> None:
    slides, costs = [tissue(5)] * 4, only(patch=0.125)  # 5 units of 1 s a slide, on 4 cores
    one_by_one = simulate(slides, recipe, "one pass", costs, Cluster(4), 1)
    together = simulate(slides, recipe, "one pass", costs, Cluster(4), 4)
    assert (one_by_one.seconds, one_by_one.busy, one_by_one.idle) == pytest.approx((8.0, 5.0, 3.0))
    assert (together.seconds, together.idle) == pytest.approx((5.0, 0.0))


def test_one_huge_slide_holds_up_its_wave_in_inference_only_as_far_as_it_cannot_be_cut(recipe: Recipe) -> None:
    slides, costs = [tissue(1)] * 31 + [tissue(97)], only(window=0.125)  # 128 units of 1 s
    told = simulate(slides, recipe, "infer", costs, Cluster(16), 32)
    # two slides a core: a slide is cut at a core's share, 8 units; 97 make 13 pieces of 7 or 8
    assert told.longest == 8.0
    assert 8.0 <= told.seconds <= 10.0


def test_the_driver_works_alone_between_waves(recipe: Recipe) -> None:
    slides, costs = [tissue(1)] * 10, only(publish=0.5, wave=2.0, job=7.0)
    told = simulate(slides, recipe, "one pass", costs, Cluster(1000), 5)
    assert told.driver == told.seconds == pytest.approx(7.0 + 2 * 2.0 + 10 * 0.5)


def test_a_drawn_recipe_pays_for_the_windows_it_finds_and_for_the_patches_it_keeps(recipe: Recipe) -> None:
    slide = Slide(1024 * 4, 512, 0.5, patches=4)  # 16 windows of tissue in 2 of 4 units
    told = simulate([slide], recipe, "drawn", only(area=1.0, window=0.25, patch=2.0), Cluster(1), 1)
    assert told.seconds == pytest.approx(1024 * 4 * 512 / 1e6 + 16 * 0.25 + 4 * 2.0)


def test_slots_that_share_a_core_gain_nothing(recipe: Recipe) -> None:
    slides, costs = [tissue(4)] * 2, only(patch=0.125)
    shared = simulate(slides, recipe, "one pass", costs, Cluster(4, slowdown=2.0), 2)
    assert shared.seconds == simulate(slides, recipe, "one pass", costs, Cluster(2), 2).seconds == pytest.approx(4.0)


def test_the_best_wave_is_the_smallest_that_fills_the_cores(recipe: Recipe) -> None:
    slides, costs = [tissue(1)] * 64, only(patch=0.125)
    assert best_wave(slides, recipe, "one pass", costs, Cluster(8))[0] == 8
    assert best_wave(slides, recipe, "one pass", costs, Cluster(32))[0] == 32


def test_the_sets_have_the_numbers_and_sizes_that_are_published() -> None:
    slides = camelyon16(1, 50)
    assert len(slides) == 400
    assert max(slide.tissue * slide.width * slide.height for slide in slides) == pytest.approx(4.945e9)
    pixels = [4 * slide.width * slide.height for slide in tupac16()]
    assert len(pixels) == 500
    assert sum(pixels) / 500 == pytest.approx(7_670_709_629, rel=0.01)
    assert 0.36e9 < min(pixels) < 0.38e9
    assert 34e9 < max(pixels) < 36e9
