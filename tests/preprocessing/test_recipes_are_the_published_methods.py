"""Numbers that published programs are known to have wrong or swapped: the recipes have those of the papers."""

import pytest

from preprocessing.recipe import Training
from preprocessing.recipe_file import load_recipe
from preprocessing.training_settings import AdamW, Constant
from tests.conftest import ROOT


def training_of(name: str) -> Training:
    return load_recipe(str(ROOT / "conf" / f"{name}.yaml")).training


def stages_of(name: str) -> list[tuple[int | str, int, float, float]]:
    """First trained layer, epochs, rate and weight decay of each stage."""
    stages = []
    for stage in training_of(name).stages:
        assert isinstance(stage.rate, Constant)
        assert isinstance(stage.optimizer, AdamW)
        stages.append((stage.trainable_from, stage.epochs, stage.rate.value, stage.optimizer.weight_decay))
    return stages


def test_whole_mammograms_take_their_new_layers_longer_and_decay_less_at_first() -> None:
    """A known program after Shen et al. has 20 and 30 epochs, and the decays, the other way round."""
    assert stages_of("mammography") == [("head", 30, 1e-4, 1e-3), (0, 20, 1e-5, 1e-2)]


def test_regions_of_mammograms_are_learnt_in_three_stages() -> None:
    """The same program ends with 100 epochs whatever the set, and decays ten times as much at first."""
    assert stages_of("mammography_patches") == [
        ("head", 3, 1e-3, 1e-4),
        ("conv5_block3_1_conv", 10, 1e-4, 1e-4),
        (0, 37, 1e-5, 1e-4),
    ]


@pytest.mark.parametrize("name", ["liu", "camelyon16", "tupac16_mitoses", "tupac16_mitoses_hard", "pcam"])
def test_colors_go_both_ways_within_the_bounds_of_liu_et_al(name: str) -> None:
    """deep-histopath wrote 0.25 to 1 and 0.75 to 1, which only fades; the layer's own tests see both ways."""
    bounds = training_of(name).augmentation
    assert bounds.brightness == pytest.approx(64 / 255, abs=1e-5)
    assert (bounds.saturation, bounds.hue, bounds.contrast) == (0.25, 0.04, 0.75)
