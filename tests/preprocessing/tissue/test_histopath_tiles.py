"""Which tiles deep-histopath would keep of a slide, by its published steps done slowly, and which we keep: the same."""

from pathlib import Path

import numpy as np
import openslide
from pyspark.sql import SparkSession

from histospark.drawing import draw_slide
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.recipe_file import load_recipe
from tests.conftest import ROOT
from tests.preprocessing.tissue.test_histopath_rule import slow_fraction
from tests.tables import patches_of

SIDE = 256


def test_tiles_of_a_drawn_slide_are_those_of_the_published_tests(spark: SparkSession, tmp_path: Path) -> None:
    """At 20x; 0.9 of 65,536 pixels is no whole number, so more than 0.9 is at least 0.9."""
    draw_slide(tmp_path / "slides", "a", seed=5, side=2048, lesions=1)
    (tmp_path / "slides.csv").write_text("slide_id,path,label\na,slides/a.tif,2\n")
    recipe = load_recipe(
        str(ROOT / "conf" / "tupac16.yaml"), ["tiling.stain.method=none", "tiling.tissue.min_fraction=0.9"]
    )
    assert (recipe.tiling.tissue.method, recipe.tiling.window, recipe.tiling.stride) == ("histopath", SIDE, SIDE)
    entries = inventory(str(tmp_path / "slides.csv"), recipe.tiling, recipe.seed)
    run_tiling(spark, recipe, entries, str(tmp_path / "out"))
    with openslide.OpenSlide(str(tmp_path / "slides" / "a.tif")) as slide:
        twenty = np.asarray(slide.read_region((0, 0), 1, slide.level_dimensions[1]).convert("RGB"))
    places = [(x, y) for y in range(0, 1024 - SIDE + 1, SIDE) for x in range(0, 1024 - SIDE + 1, SIDE)]
    shares = {(2 * x, 2 * y): slow_fraction(twenty[y : y + SIDE, x : x + SIDE]) for x, y in places}
    kept = {place for place, share in shares.items() if share >= 0.9}
    assert 2 < len(kept) < len(places) - 2
    got = patches_of(tmp_path / "out", "a")
    assert {*zip(got["x"], got["y"], strict=True)} == kept
    assert (got["label"] == 1).all()
    found = dict(zip(zip(got["x"], got["y"], strict=True), got["tissue_fraction"], strict=True))
    assert found == {place: np.float32(shares[place]) for place in kept}
