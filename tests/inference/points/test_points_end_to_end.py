"""Infer, evaluate and mine on painted fields: clusters are DBSCAN's, F1 is counted by hand, hard negatives are cut."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click import Command
from pyspark.sql import SparkSession
from sklearn.cluster import DBSCAN

from cluster.entry import run_command
from histospark.drawing.files import write_slide
from inference.evaluate import evaluate
from inference.job import inference_id, run_inference
from inference.points.mine import HARD_NEGATIVE, mine
from inference.points.truth import true_points
from inference.truth_outline import truth_rings
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.job import run_tiling
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from tests import reference
from tests.conftest import ROOT
from tests.inference.color_model import color_model, expected_probability, save_with_card

PALE, DARK = (225, 185, 215), (120, 60, 160)
STEP = 32  # of the grid, level-0 pixels
DOTS = {
    "field_a": [(200, 200), (560, 300), (300, 600)],
    "field_b": [(400, 400)],
    "field_c": [(300, 300)],
    "field_d": [],
}
MARKED = {"field_a": [(203, 196), (556, 310)], "field_b": [(150, 600)], "field_d": []}
FOUND = {"field_a": ["found", "found", "false"], "field_b": ["false"]}


def overrides() -> list[str]:
    inference = [
        "stride=16",
        "min_tissue=0",
        "threshold=0.6",
        "lesions={kind: clusters, windows: 2, probability: 0.62}",
    ]
    inference += ["lesion_radius=60", "hit_radius=40", "orientations=4", "slide_score=mean", "batch_size=64"]
    tiling = ["placement={kind: points, min_distance: 60}", "labels.classes={mitosis: [mitosis, MF]}"]
    tiling += ["labels.normal_slides=[]", "splits.test=['*_b']", "splits.validation=[]", "block=256"]
    return [*(f"inference.{it}" for it in inference), *(f"tiling.{it}" for it in tiling)]


@dataclass(frozen=True)
class Fields:
    slides: Path
    out: Path
    recipe: Recipe

    def run(self, command: Command, *arguments: object) -> int:
        asked = ("--predictions", self.out, "--slides", self.slides, *arguments)
        return run_command(command, [str(it) for it in asked])


@pytest.fixture(scope="module")
def fields(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Fields:
    folder = tmp_path_factory.mktemp("fields")
    slides = folder / "slides"
    slides.mkdir()
    y, x = np.mgrid[:768, :768] + 0.5
    for name, dots in DOTS.items():
        image = np.full((768, 768, 3), PALE, np.uint8)
        for across, down in dots:
            image[(x - across) ** 2 + (y - down) ** 2 <= 80**2] = DARK
        write_slide(slides / f"{name}.tif", image)
    points = {"type": "MultiPoint", "coordinates": MARKED["field_a"]}
    feature = {"type": "Feature", "geometry": points, "properties": {"classification": {"name": "MF"}}}
    (slides / "field_a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    (slides / "field_b.csv").write_text("".join(f"{down},{across}\n" for across, down in MARKED["field_b"]))
    (slides / "field_d.csv").write_text("")
    recipe = load_recipe(str(ROOT / "conf" / "demo.yaml"), overrides())
    model = save_with_card(color_model(), folder / "model", recipe)
    entries = inventory(str(slides), recipe.tiling, recipe.seed)
    summary = run_inference(spark, recipe, entries, model, str(folder / "out"))
    assert (summary.done, summary.failed) == (4, 0), summary.faults
    return Fields(slides, folder / "out", recipe)


def by_hand(fields: Fields, name: str) -> tuple[list[tuple[float, float, float]], float]:
    """Lesions by scikit-learn of windows one by one, and the mean probability."""
    path = fields.slides / f"{name}.tif"
    images = [reference.whole_level(path, level).astype(np.float64) for level in (1, 2)]
    corners = [(x, y) for y in range(0, 384 - 79, 16) for x in range(0, 384 - 79, 16)]
    means = []
    for left, top in corners:
        fine = images[0][top : top + 80, left : left + 80]
        coarse = np.full((80, 80, 3), 255.0)
        for row in range(80):
            inside = (top + 40) // 2 - 40 + row
            if 0 <= inside < 192:
                start = (left + 40) // 2 - 40
                columns = np.arange(max(start, 0), min(start + 80, 192))
                coarse[row, columns - start] = images[1][inside, columns]
        means.append([fine.mean(axis=(0, 1)), coarse.mean(axis=(0, 1))])
    probability = expected_probability(np.array(means))
    xy = np.array([(2 * (left + 40), 2 * (top + 40)) for left, top in corners])
    above = probability >= 0.6
    if not above.any():
        return [], float(probability.mean())
    labels = DBSCAN(eps=60, min_samples=2).fit(xy[above]).labels_
    found = []
    for label in range(labels.max() + 1):
        mine_, weights = xy[above][labels == label], probability[above][labels == label]
        if weights.mean() >= 0.62:
            found.append((*np.average(mine_, axis=0, weights=weights).tolist(), float(weights.mean())))
    return sorted(found, key=lambda it: -it[2]), float(probability.mean())


def test_lesions_are_clusters_of_windows_and_the_score_is_their_mean(fields: Fields) -> None:
    written = pd.read_csv(fields.out / "lesions.csv")
    for name, dots in DOTS.items():
        wanted, mean = by_hand(fields, name)
        got = written[written["slide_id"] == name]
        assert len(got) == len(wanted) == len(dots)
        np.testing.assert_allclose(got[["x", "y"]], np.array(wanted).reshape(-1, 3)[:, :2], atol=0.6)
        np.testing.assert_allclose(got["probability"], [it[2] for it in wanted], atol=1e-4)
        score = pd.read_parquet(fields.out / "slide_scores" / f"{name}.parquet")["score"].item()
        assert score == pytest.approx(mean, abs=1e-4)


def test_points_are_judged_by_the_recipe_of_the_run(
    fields: Fields, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fields.run(evaluate, "--out", tmp_path) == 0
    assert "| points found | 2 |" in capsys.readouterr().out
    values = json.loads((tmp_path / "metrics.json").read_text())
    assert (values["detections"]["precision"]["value"], values["detections"]["recall"]["value"]) == (0.5, 2 / 3)
    assert values["detections"]["f1"]["value"] == pytest.approx(4 / 7)
    assert values["left_out"] == {"field_c": {"why": "no truth", "reason": "neither annotated nor known to be normal"}}
    kinds: dict[str, list[str]] = {}
    for row in csv.DictReader((tmp_path / "detections.csv").open()):
        kinds.setdefault(row["slide_id"], []).append(row["kind"])
    assert {name: sorted(it) for name, it in kinds.items()} == {name: sorted(it) for name, it in FOUND.items()}
    assert (tmp_path / "detection_thresholds.png").exists()


def test_slides_of_which_nothing_is_known_are_wrong_use(
    fields: Fields, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--predictions", fields.out, "--slides", fields.slides / "field_c.tif", "--out", tmp_path]
    for command in (evaluate, mine):
        assert run_command(command, [str(it) for it in asked]) == 2
        assert "no slide to evaluate: field_c: neither annotated nor known to be normal" in capsys.readouterr().err


def test_false_positives_of_training_slides_become_hard_negatives(
    spark: SparkSession, fields: Fields, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And `tile` cuts each as a patch without mitosis."""
    assert fields.run(mine, "--out", tmp_path) == 0
    said = capsys.readouterr()
    assert "3 slides with 3 points and 1 hard negative in " in said.out
    assert "left out  field_c: neither annotated" in said.err
    labels = fields.recipe.tiling.labels.model_copy(update={"excluded": (HARD_NEGATIVE,)})
    second = fields.recipe.tiling.model_copy(update={"labels": labels})
    entries: dict[str, SlideEntry] = {it.slide_id: it for it in inventory(str(tmp_path / "manifest.csv"), second, 7)}
    assert {name: it.split for name, it in entries.items()} == dict.fromkeys(("field_a", "field_d"), "train") | {
        "field_b": "test"
    }
    truth = {name: true_points(it, second) for name, it in entries.items()}
    assert {name: it.xy.tolist() for name, it in truth.items() if it} == {
        name: [list(point) for point in points] for name, points in MARKED.items()
    }
    (negative,) = truth["field_a"].hard_negatives.tolist() if truth["field_a"] else ()
    assert np.hypot(negative[0] - 300, negative[1] - 600) < 10
    assert not any(len(it.hard_negatives) for name, it in truth.items() if it and name != "field_a")
    recipe = fields.recipe.model_copy(update={"tiling": second})
    assert run_tiling(spark, recipe, [entries["field_a"]], str(tmp_path / "tiles")).done == 1
    patches = pd.read_parquet(tmp_path / "tiles" / "patches")
    middles = (patches[["x", "y"]] + 80).to_numpy()
    labels = [
        patches["label"][np.abs(middles - point).max(axis=1) <= 2].astype(int).tolist()
        for point in (*MARKED["field_a"], negative)
    ]
    assert labels == [[1], [1], [0]]


def test_pictures_ring_the_points_as_far_as_they_are_hit(fields: Fields) -> None:
    entry = inventory(str(fields.slides / "field_a.tif"), fields.recipe.tiling, 7)[0]
    rings = truth_rings(entry, fields.recipe)
    assert len(rings) == 2
    for ring, point in zip(rings, MARKED["field_a"], strict=True):
        np.testing.assert_allclose(np.hypot(*(ring - point).T), 40)
        np.testing.assert_allclose(ring[0], ring[-1])


def test_regions_have_nothing_to_mine(fields: Fields, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    text = (fields.out / "recipe.yaml").read_text()
    (tmp_path / "run" / "recipe.yaml").write_text(text.replace("kind: points\n    min_distance: 60", "kind: grid"))
    (tmp_path / "run" / "model.json").write_bytes((fields.out / "model.json").read_bytes())
    asked = ("--predictions", tmp_path / "run", "--slides", fields.slides / "field_a.tif", "--out", tmp_path / "mined")
    assert run_command(mine, [str(it) for it in asked]) == 2
    assert "tiling.placement.kind grid" in capsys.readouterr().err


def test_new_keys_change_the_identity_only_away_from_their_defaults(sparse: Recipe) -> None:
    def with_settings(**settings: object) -> str:
        inference = type(sparse.inference).model_validate(sparse.inference.model_dump() | settings)
        return inference_id(sparse.model_copy(update={"inference": inference}), "m")

    plain = with_settings()
    assert plain == with_settings(lesions={"kind": "suppression"}, slide_score="maximum", variants=1, hit_radius=7)
    changes: list[dict[str, object]] = [
        {"lesions": {"kind": "clusters"}},
        {"lesions": {"kind": "clusters", "windows": 3}},
        {"slide_score": "mean"},
        {"variants": 2},
        {"variants": 3},
        {"orientations": 4},
    ]
    assert len({plain, *(with_settings(**it) for it in changes)}) == 7
