"""Positions and probabilities of the job are those of the slow reference, and all outputs of a slide agree."""

import csv
import io
import math
from pathlib import Path

import numpy as np
import openslide
import pandas as pd
import pytest
import yaml
from PIL import Image

from tests import reference
from tests.inference.color_model import expected_probability
from tests.inference.conftest import GOOD, Run
from tests.inference.slow import lesions_one_by_one
from tests.inference.tables import contents, predictions_of
from tests.tables import ledger_of

CELL = 48 * 2  # prediction stride times the downsample of level 1, level-0 pixels
HALF = 80 * 2 // 2


def windows(run: Run, path: Path) -> list[reference.ReferencePatch]:
    """Every grid window with more tissue than wanted, by the slow reference."""
    tiling = run.recipe.tiling.model_dump()
    tiling["stride"] = 48
    tiling["tissue"]["min_fraction"] = 0.3
    return reference.candidates(path, None, tiling)


@pytest.mark.parametrize("slide_id", GOOD)
def test_every_window_with_tissue_has_the_probability_of_its_pixels(finished: Run, slide_id: str) -> None:
    path = finished.slides / f"{slide_id}.tif"
    wanted = windows(finished, path)
    images = [reference.whole_level(path, level) for level in (1, 2)]
    scales = [reference.downsample(path, level) for level in (1, 2)]
    means = [
        [
            reference.crop(image, w, scales[0], scale, 80).mean(axis=(0, 1))
            for image, scale in zip(images, scales, strict=True)
        ]
        for w in wanted
    ]
    expected = dict(zip([(w.x, w.y) for w in wanted], expected_probability(np.array(means)), strict=True))
    got = predictions_of(finished.out, slide_id)
    assert list(got.columns) == ["x", "y", "probability", "tissue_fraction", "model_id"]
    assert [str(kind) for kind in got.dtypes[:4]] == ["int32", "int32", "float32", "float32"]
    places = list(zip(got["x"], got["y"], strict=True))
    assert len(places) == len(set(places)) == len(expected) > 50
    assert set(places) == set(expected)
    np.testing.assert_allclose(got["probability"], [expected[place] for place in places], atol=1e-5)
    assert np.ptp(list(expected.values())) > 0.3
    assert set(got["model_id"]) == {yaml.safe_load(finished.model.with_suffix(".json").read_text())["model_id"]}


@pytest.mark.parametrize("slide_id", GOOD)
def test_tissue_fraction_is_that_of_the_middle_square(finished: Run, slide_id: str) -> None:
    """The square of the grid's step, 48 px of scale 0, counted pixel by pixel."""
    path = finished.slides / f"{slide_id}.tif"
    tissue = reference.is_tissue(reference.whole_level(path, 1), 0.8)
    got = predictions_of(finished.out, slide_id)
    inset = (80 - 48) // 2
    for x, y, share in zip(got["x"] // 2 + inset, got["y"] // 2 + inset, got["tissue_fraction"], strict=True):
        assert share == pytest.approx(tissue[y : y + 48, x : x + 48].mean())
    assert got["tissue_fraction"].min() < 0.5 < got["tissue_fraction"].max()


def test_a_damaged_slide_fails_alone_and_glass_is_empty(finished: Run) -> None:
    summary = finished.summary
    assert (summary.done, summary.empty, summary.failed, summary.skipped) == (3, 1, 1, 0)
    assert summary.exit_code == 3
    assert [fault.split(":")[0] for fault in summary.faults] == ["bad"]
    ledger = ledger_of(finished.out).set_index("slide_id")
    assert dict(ledger["status"]) == dict.fromkeys(GOOD, "done") | {"bad": "failed", "glass_01": "empty"}
    assert ledger.at["bad", "error_type"] == "SlideOpenError"
    assert "bad.svs" in ledger.at["bad", "error"]


def test_only_good_slides_have_outputs_and_nothing_else_is_left(finished: Run) -> None:
    beside = {"lesions.csv", "recipe.yaml", "model.json", "engine.json"}
    for slide_id in GOOD:
        beside |= {f"heatmaps/{slide_id}.{kind}" for kind in ("png", "tif", "geojson")}
        beside |= {f"slide_scores/{slide_id}.parquet", f"lesions/{slide_id}.csv"}
    names = set(contents(finished.out))
    assert {name for name in names if not name.startswith("predictions/")} == beside
    assert {name.split("/")[1] for name in names if name.startswith("predictions/")} == {
        f"slide_id={slide_id}" for slide_id in GOOD
    }


@pytest.mark.parametrize("slide_id", GOOD)
def test_ledger_counts_the_predictions(finished: Run, slide_id: str) -> None:
    row = ledger_of(finished.out).set_index("slide_id").loc[slide_id]
    got = predictions_of(finished.out, slide_id)
    with openslide.OpenSlide(str(finished.slides / f"{slide_id}.tif")) as slide:
        assert (row["width"], row["height"]) == slide.dimensions
    assert row["job"] == "infer"
    assert row["patches"] == len(got)
    assert row["positives"] == (got["probability"] >= 0.5).sum()
    assert 0 < row["positives"] < row["patches"]
    assert row["attempt"] == 1
    assert row["seconds"] > 0


@pytest.mark.parametrize("slide_id", GOOD)
def test_score_and_areas_follow_from_the_predictions(finished: Run, slide_id: str) -> None:
    (score,) = pd.read_parquet(finished.out / "slide_scores" / f"{slide_id}.parquet").to_dict("records")
    got = predictions_of(finished.out, slide_id)
    area = (CELL * 0.25 / 1000) ** 2
    assert score["slide_id"] == slide_id
    assert score["score"] == pytest.approx(got["probability"].max())
    assert score["tissue_area_mm2"] == pytest.approx(len(got) * area)
    assert score["positive_area_mm2"] == pytest.approx((got["probability"] >= 0.5).sum() * area)
    assert score["lesions"] == len(lesions_of(finished, slide_id))


def lesions_of(run: Run, slide_id: str) -> list[tuple[int, int, float]]:
    """By brute force from the predictions; centers of windows in raster order."""
    got = predictions_of(run.out, slide_id).sort_values(["y", "x"])
    cells = zip(got["x"] + HALF, got["y"] + HALF, got["probability"].astype(float), strict=True)
    return lesions_one_by_one(list(cells), 0.5, 200)


def test_lesions_of_all_slides_stand_in_one_file(finished: Run) -> None:
    text = (finished.out / "lesions.csv").read_text()
    assert text.splitlines()[0] == "slide_id,x,y,probability"
    rows = list(csv.DictReader(io.StringIO(text)))
    wanted = [(slide_id, *lesion) for slide_id in GOOD for lesion in lesions_of(finished, slide_id)]
    assert [(row["slide_id"], int(row["x"]), int(row["y"])) for row in rows] == [lesion[:3] for lesion in wanted]
    for row, lesion in zip(rows, wanted, strict=True):
        assert math.isclose(float(row["probability"]), lesion[3], abs_tol=1e-6)
    assert {row["slide_id"] for row in rows} == set(GOOD)


@pytest.mark.parametrize("slide_id", GOOD)
def test_each_slide_has_a_heatmap_that_opens(finished: Run, slide_id: str) -> None:
    with Image.open(finished.out / "heatmaps" / f"{slide_id}.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 300
        picture.load()


def test_recipe_and_card_tell_how_it_was_made(finished: Run) -> None:
    saved = yaml.safe_load((finished.out / "recipe.yaml").read_text())
    assert saved == finished.recipe.model_dump(mode="json")
    card = yaml.safe_load(finished.model.with_suffix(".json").read_text())
    assert yaml.safe_load((finished.out / "model.json").read_text()) == card
