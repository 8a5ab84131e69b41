"""Heatmap tiles, their colors and the probability under the pointer, against what was written and predicted."""

import io
import math

import httpx
import matplotlib
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from inference.predict import prediction_recipe
from tests.inference.conftest import GOOD
from tests.inference.lab.making import MadeRun, lab_over, write_pyramid

ROUNDING = 0.5 / 254 + 1e-6


def rgba(answer: httpx.Response) -> NDArray[np.uint8]:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))


@pytest.fixture(scope="module")
def deep(lab_run: MadeRun, tmp_path_factory: pytest.TempPathFactory) -> MadeRun:
    """The run with a heatmap of three levels, so small its pixels are."""
    run = lab_run.copied_to(tmp_path_factory.mktemp("deep"))
    rng = np.random.default_rng(3)
    values = rng.integers(0, 256, (520, 777)).astype(np.uint8)
    write_pyramid(run.heat("tumor_01"), values, {"downsample": 2, "slide_id": "tumor_01"})
    return run


def test_a_heat_tile_has_the_colors_of_its_values(deep: MadeRun) -> None:
    with lab_over(deep.out) as client:
        heat = client.get("/api/slides/tumor_01").json()["heat"]
        assert heat["levels"] == [[777, 520], [389, 260], [195, 130]]
        assert (heat["width"], heat["height"], heat["downsample"], heat["tile_size"]) == (777, 520, 2, 256)
        with tifffile.TiffFile(deep.heat("tumor_01")) as file:
            levels = [page.asarray() for page in file.pages]
        for level, column, row, name in (
            (0, 3, 2, "turbo"),
            (0, 1, 1, "magma"),
            (1, 1, 1, "viridis"),
            (2, 0, 0, "hot"),
        ):
            values = levels[level][row * 256 : row * 256 + 256, column * 256 : column * 256 + 256].astype(float)
            query = f"map={name}&threshold=0.25"
            tile = rgba(client.get(f"/slides/tumor_01/heat/{level}/{column}_{row}.png?{query}"))
            hidden = (values == 0) | ((values - 1) / 254 < 0.25)
            np.testing.assert_array_equal(tile[..., 3], np.where(hidden, 0, 255))
            expected = matplotlib.colormaps[name]((values - 1) / 254, bytes=True)
            np.testing.assert_array_equal(tile[~hidden], expected[~hidden])


def test_a_probability_at_the_threshold_is_shown(deep: MadeRun) -> None:
    with lab_over(deep.out) as client:
        for threshold, lowest in ((0.0, 1), (0.5, 128), (1.0, 255), (126 / 254, 127), (126.01 / 254, 128)):
            tile = rgba(client.get(f"/slides/tumor_01/heat/2/0_0.png?threshold={threshold}"))
            with tifffile.TiffFile(deep.heat("tumor_01")) as file:
                values = file.pages[2].asarray()
            np.testing.assert_array_equal(tile[..., 3] > 0, values >= lowest)


def test_wrong_questions_are_told_what_is_wrong(lab: httpx.Client) -> None:
    for query in ("map=jet", "threshold=2", "threshold=nan", "threshold=x", "map=../turbo"):
        answer = lab.get(f"/slides/tumor_01/heat/0/0_0.png?{query}")
        assert (answer.status_code, list(answer.json())) == (400, ["error"])
    for query in ("x=1", "x=1&y=", "x=1&y=inf", "x=1e999&y=1"):
        assert lab.get(f"/slides/tumor_01/probability?{query}").status_code == 400
    for place in ("99/0_0", "0/99_0", "0/0_99", "0/-1_0", "0/x_0", "0/0_0_0", "0/%C2%B2_0", f"{'9' * 5000}/0_0"):
        for kind in (f"heat/{place}.png", f"tiles/{place}.jpg"):
            assert lab.get(f"/slides/tumor_01/{kind}").status_code == 404


@pytest.mark.parametrize("slide_id", GOOD)
def test_the_probability_in_the_middle_of_a_window_is_its_prediction(
    lab: httpx.Client, lab_run: MadeRun, slide_id: str
) -> None:
    rows = lab_run.predictions(slide_id)
    rows = rows[rows["tissue_fraction"] > 0]
    tiling = prediction_recipe(lab_run.recipe).tiling
    middle = tiling.window * 2 / 2  # scale 0 is level 1
    for x, y, predicted in rows[["x", "y", "probability"]].sample(40, random_state=1).to_numpy():
        answer = lab.get(f"/slides/{slide_id}/probability?x={x + middle}&y={y + middle}").json()
        assert answer["probability"] == pytest.approx(predicted, abs=ROUNDING)


def test_outside_of_the_slide_and_where_nothing_was_judged_there_is_no_probability(
    lab: httpx.Client, lab_run: MadeRun
) -> None:
    rows = lab_run.predictions("tumor_01")
    far = 1.5 * lab_run.recipe.tiling.window * 2
    unjudged = next(
        (x, y)
        for x in range(0, 1024, 16)
        for y in range(0, 1024, 16)
        if np.hypot(rows["x"] + 80 - x, rows["y"] + 80 - y).min() > far
    )
    for x, y in (unjudged, (-1, 5), (5, -0.5), (1024, 5), (5, 1e9)):
        answer = lab.get(f"/slides/tumor_01/probability?x={x}&y={y}")
        assert answer.json() == {"probability": None}


def test_the_layer_lies_over_the_slide(lab: httpx.Client, lab_run: MadeRun) -> None:
    """The highest pixel of the layer, in level-0 pixels, is in the cell of the highest window."""
    heat = lab.get("/api/slides/tumor_02").json()["heat"]
    rows = lab_run.predictions("tumor_02")
    top = rows.loc[rows["probability"].idxmax()]
    threshold = math.floor(top["probability"] * 254) / 254
    tile = rgba(lab.get(f"/slides/tumor_02/heat/0/0_0.png?threshold={threshold}"))
    row, column = np.argwhere(tile[..., 3] > 0)[0]
    x, y = ((place + 0.5) * heat["downsample"] for place in (column, row))
    assert abs(top["x"] + 80 - x) <= 48
    assert abs(top["y"] + 80 - y) <= 48
