"""One call after a training: numbers, figures, card and page of the model, for two classes and for more."""

import json
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from cluster.errors import UsageError
from tests.training.looking_core import looking_core
from tests.training.tiny_table import SLIDES, tiny_recipe, write_table
from training.card import load_card
from training.epochs import Epoch
from training.evaluation import split_predictions
from training.html_report import _as_jpeg
from training.many_classes import ManyClasses
from training.slide_level import ScoredPatches
from training.stain_shift import SHIFTS, Robustness
from training.stream import SplitStream
from training.table import open_table
from training.training_figures import curves_figure, robustness_figure
from training.training_report import TrainingReport, judging_of, report_training

EPOCHS = (
    Epoch(1, 1, 0.7, 0.5, 0.69, 0.55, 3.0),
    Epoch(2, 1, 0.5, 0.7, 0.52, 0.81, 3.0),
    Epoch(3, 2, 0.4, 0.8, 0.6, 0.78, 3.0),
)
NASTY = "<script>document.title='hit'<script> & $x^2$"
STAGES = [{"epochs": 2}, {"epochs": 1, "rate": {"kind": "one_cycle", "peak": 0.01}}]


@dataclass(frozen=True)
class Written:
    folder: Path
    uri: str
    report: TrainingReport


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A model of two classes, with a slide whose name is an attack."""
    folder = tmp_path_factory.mktemp("two")
    recipe = tiny_recipe(stages=STAGES)
    table = write_table(
        folder / "run", recipe, {**SLIDES, ("test", NASTY): {0: 9, 1: 8}, ("test", "normal_04"): {0: 5}}
    )
    keras.utils.set_random_seed(4)
    core = looking_core()
    core.save(folder / "model.keras")
    report = report_training(core, folder / "model.keras", open_table(table.uri), recipe, EPOCHS)
    return Written(folder, table.uri, report)


def test_the_folder_holds_numbers_figures_card_and_page(two: Written) -> None:
    names = {path.name for path in two.folder.iterdir()}
    figures = {"roc", "precision_recall", "calibration", "confusion", "curves", "color_robustness"}
    pictures = {f"{name}.png" for name in figures | {"hardest_0", "hardest_1"}}
    assert {"metrics.md", "metrics.json", "slides.csv", "model.json", "report.html"} | pictures <= names
    for name in pictures:
        with Image.open(two.folder / name) as plot:
            assert len(plot.convert("RGB").getcolors(10_000_000) or []) > 10
    assert two.report.table == (two.folder / "metrics.md").read_text()
    assert two.report.page.stat().st_size < 5_000_000


def test_other_stains_and_hardest_patches_stand_with_the_judged_split(two: Written) -> None:
    values = json.loads((two.folder / "metrics.json").read_text())
    assert "color_robustness" not in values["validation"]
    assert values["test"]["color_robustness"]["patches"] == 22
    hardest = values["test"]["hardest"]
    assert [it["label"] for it in hardest] == [0] * 12 + [1] * 8
    core = keras.saving.load_model(two.folder / "model.keras", compile=False)
    scored = split_predictions(core, SplitStream(open_table(two.uri), "test", 80, 16))
    tumor = scored.probabilities[scored.labels == 1]
    assert [it["given"] for it in hardest[12:]] == pytest.approx(sorted(tumor.tolist()), abs=1e-6)
    shifts = values["test"]["color_robustness"]["shifts"]
    lowest = min(shifts, key=lambda it: it["accuracy"])
    text = two.report.table
    worse = [name for name, it in values["test"]["color_robustness"]["worst"].items() if it["change"] < 0]
    assert "accuracy" in worse
    assert text.count("(worst)") == len(worse)
    line = next(line for line in text.splitlines() if line.startswith(f"| {lowest['name']} |"))
    assert f"{lowest['accuracy']:.4f} (worst)" in line


def test_the_card_tells_the_epoch_and_its_stage(two: Written) -> None:
    card = load_card(two.folder / "model.keras")
    assert card.epoch == EPOCHS[1]
    assert card.threshold == card.metrics["test"].threshold
    assert card.class_metrics == {}


def test_without_a_judged_test_split_validation_is_looked_at(tmp_path: Path) -> None:
    recipe = tiny_recipe()
    table = write_table(tmp_path / "run", recipe, {**SLIDES, ("test", "normal_04"): {0: 5}})
    core = looking_core()
    core.save(tmp_path / "model.keras")
    report = report_training(core, tmp_path / "model.keras", open_table(table.uri), recipe, ())
    values = json.loads((tmp_path / "metrics.json").read_text())
    assert values.keys() == report.metrics.keys() == {"validation"}
    assert "hardest" in values["validation"]
    assert load_card(tmp_path / "model.keras").epoch is None
    assert not (tmp_path / "curves.png").exists()
    assert "There is no judged split `test`" in report.page.read_text()


def test_a_model_of_three_classes_has_its_own_table_and_no_threshold(tmp_path: Path) -> None:
    settings = tiny_recipe().model_dump(mode="json")
    settings["tiling"]["labels"]["classes"] = {"in situ": ["IS"], "invasive": ["INV"]}
    recipe = tiny_recipe().model_validate(settings)
    slides = {
        ("train", "a"): {0: 5, 1: 5, 2: 5},
        ("validation", "b"): {0: 14, 1: 13, 2: 12},
        ("test", "c"): {0: 4, 2: 6},
    }
    table = write_table(tmp_path / "run", recipe, slides)
    core = looking_core(classes=3)
    core.save(tmp_path / "model.keras")
    report = report_training(core, tmp_path / "model.keras", open_table(table.uri), recipe, EPOCHS)
    card = load_card(tmp_path / "model.keras")
    assert card.metrics == {}
    assert card.class_metrics == report.metrics
    assert card.class_metrics["test"].sensitivity[1] is None
    values = json.loads((tmp_path / "metrics.json").read_text())
    assert np.array(values["validation"]["confusion"]).sum(axis=1).tolist() == [14, 13, 12]
    assert {it["label"] for it in values["test"]["hardest"]} == {0, 2}
    assert "macro_auc" in values["test"]["color_robustness"]["worst"]
    page = report.page.read_text()
    assert "Confusion matrices" in page
    assert "in situ" in page
    with pytest.raises(UsageError, match="has no threshold: its 3 classes are judged by the likeliest one"):
        _ = card.threshold


def test_ordered_classes_are_judged_as_grades() -> None:
    settings = tiny_recipe().model_dump(mode="json")
    scores = {name: [name] for name in ("1", "2", "3")}
    settings["tiling"]["labels"] |= {"source": "slide", "ordered": True, "classes": scores}
    nothing = ScoredPatches(np.array([], np.str_), np.array([], np.int32), np.zeros((0, 3), np.float32))
    judging = judging_of(tiny_recipe().model_validate(settings), nothing)
    assert judging == ManyClasses(("1", "2", "3"), seed=5, ordered=True)


def test_the_curves_show_the_epochs_and_where_stages_begin() -> None:
    loss, auc = curves_figure(EPOCHS, best=2).axes
    for axes, names in ((loss, ("loss", "validation_loss")), (auc, ("auc", "validation_auc"))):
        train, validation, kept, stage = axes.get_lines()
        assert train.get_xdata().tolist() == validation.get_xdata().tolist() == [1, 2, 3]
        assert train.get_ydata().tolist() == [getattr(it, names[0]) for it in EPOCHS]
        assert validation.get_ydata().tolist() == [getattr(it, names[1]) for it in EPOCHS]
        assert kept.get_xdata() == [2, 2]
        assert stage.get_xdata() == [2.5, 2.5]
        assert axes.get_xlabel()
        assert axes.get_ylabel()


def test_the_figure_of_other_stains_shows_every_measure_under_every_shift() -> None:
    shifted = tuple((shift, {"auc": 0.9 - 0.01 * place}) for place, shift in enumerate(SHIFTS))
    (axes,) = robustness_figure(Robustness("test", 10, 2, {"auc": 0.95}, shifted)).axes
    line, points = axes.get_lines()
    assert line.get_xdata() == [0.95, 0.95]
    by_height = dict(zip(points.get_ydata().tolist(), points.get_xdata(), strict=True))
    shown = [
        (text.get_text(), by_height[place])
        for text, place in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
    ]
    assert shown == [("as it is", 0.95), *((shift.name, values["auc"]) for shift, values in shifted)]


def test_photographs_get_smaller_the_more_classes_there_are() -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (400, 400, 3)).astype(np.uint8))
    sizes = [len(_as_jpeg(noise, largest)) for largest in (10**7, 120_000, 10)]
    assert sizes[0] > 120_000 > sizes[1] > sizes[2] > 1000
