"""Recipes are typed: every file in conf/ loads, unknown keys name the nearest known one, what is effective is kept."""

from pathlib import Path

import pytest

from cluster.errors import UsageError
from preprocessing.recipe_file import load_recipe, save_recipe
from preprocessing.tiling_settings import Scale, Tiling
from tests.conftest import ROOT

RECIPES = sorted((ROOT / "conf").glob("*.yaml"))
DEMO = str(ROOT / "conf" / "demo.yaml")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_in_conf_loads_under_its_own_name(path: Path) -> None:
    assert load_recipe(str(path)).name == path.stem


def test_camelyon16_recipe_is_the_published_method() -> None:
    tiling = load_recipe(str(ROOT / "conf" / "camelyon16.yaml")).tiling
    assert [scale.level for scale in tiling.scales] == [2, 3]
    assert (tiling.window, tiling.center) == (80, 50)
    assert (tiling.tissue.max_gray, tiling.tissue.min_fraction) == (0.8, 0.75)


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("tiling.windw", "tiling.window"),
        ("tiling.tissue.max_grey", "tiling.tissue.max_gray"),
        ("training.batchsize", "training.batch_size"),
        ("window", "tiling.window"),
    ],
)
def test_unknown_key_names_the_nearest_known_one(wrong: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"unknown key {wrong}; did you mean {nearest}\\?"):
        load_recipe(DEMO, [f"{wrong}=1"])


def test_overrides_take_yaml_values() -> None:
    recipe = load_recipe(DEMO, ["tiling.scales=[{level: 0}]", "tiling.splits.test=[a, b*]", "training.weights=w.h5"])
    assert [scale.level for scale in recipe.tiling.scales] == [0]
    assert recipe.tiling.splits.test == ("a", "b*")
    assert recipe.training.weights == "w.h5"


def test_effective_recipe_reads_back_as_itself(tmp_path: Path) -> None:
    recipe = load_recipe(DEMO, ["tiling.stride=31"])
    save_recipe(recipe, str(tmp_path))
    assert load_recipe(str(tmp_path / "recipe.yaml")) == recipe


def test_recipe_id_follows_what_shapes_rows_and_nothing_else() -> None:
    base = load_recipe(DEMO)
    assert load_recipe(DEMO, ["training.stages=[{epochs: 99}]", "inference.threshold=0.9"]).recipe_id == base.recipe_id
    for override in ("seed=8", "tiling.stride=26", "tiling.image.quality=91", "tiling.splits.test=[x]"):
        assert load_recipe(DEMO, [override]).recipe_id != base.recipe_id


def test_tables_outlive_new_keys_and_so_no_default_of_tiling_may_change() -> None:
    """A new key may be added here; where a value changes, tables of another making would pass for the recipe's."""
    least = Tiling(scales=(Scale(level=0),), window=2, center=2, stride=2)
    assert least.model_dump(mode="json", exclude={"scales", "window", "center", "stride"}) == {
        "mpp": None,
        "mpp_tolerance": 0.05,
        "margin": 0,
        "offset": [0],
        "placement": {"kind": "grid"},
        "jitter": 0,
        "block": 2048,
        "blocks_per_shard": 8,
        "tissue": {"method": "gray", "quality": False, "max_gray": 0.8, "min_gray": 0.0, "min_fraction": 0.75},
        "labels": {
            "source": "polygons",
            "ordered": False,
            "rule": "any",
            "min_fraction": None,
            "classes": {"tumor": ["_0", "_1", "tumor", "metastases"]},
            "excluded": ["_2", "exclusion", "none", "normal"],
            "normal_slides": [],
        },
        "stain": {"method": "none"},
        "sampling": {
            "normals_per_tumor": 1.0,
            "from_slides_without_tumor": 1000,
            "max_normals": None,
            "max_normals_overall": None,
        },
        "image": {"format": "jpeg", "quality": 90, "subsampling": "444", "copy_tiles": True},
        "splits": {
            "validation": [],
            "test": [],
            "validation_fraction": 0.0,
            "test_fraction": 0.0,
            "stratified": False,
        },
    }


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("tiling.labels.ordered=true", "set source to 'slide'"),
        ("tiling.labels.source=slide", "two classes or more"),
        ("training.augmentation.flips=true", "orientations hold the flips"),
        ("inference={stride: 50, variants: 4, orientations: 8}", "leave orientations at 1"),
        ("tiling.block=64", "at least as large as window"),
        ("tiling.scales=[{level: 2}, {level: 1}]", "from fine to coarse"),
        ("tiling.labels.rule=fraction", "min_fraction is needed"),
        ("tiling.scales=[]", "tiling.scales"),
        ("tiling=3", "tiling"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(override: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        load_recipe(DEMO, [override])
