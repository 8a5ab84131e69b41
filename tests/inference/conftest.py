"""One run of the job over drawn, empty and damaged slides, which the tests of this room only read."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
from pyspark.sql import SparkSession

from histospark.drawing.files import write_slide
from inference.job import run_inference
from preprocessing.batch import BatchSummary
from preprocessing.inventory import inventory
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from tests.conftest import ROOT
from tests.inference.color_model import color_model, save_with_card
from training.card import load_card
from training.export import export_model, export_onnx

GOOD = ("normal_01", "tumor_01", "tumor_02")


@dataclass(frozen=True)
class Run:
    slides: Path
    out: Path
    model: Path
    recipe: Recipe
    summary: BatchSummary

    def again(self, spark: SparkSession, slides: Path, out: Path) -> BatchSummary:
        """Run once more, over other slides or into another copy of the output."""
        entries = inventory(str(slides), self.recipe.tiling, self.recipe.seed)
        return run_inference(spark, self.recipe, entries, self.model, str(out))


@pytest.fixture(scope="session")
def sparse() -> Recipe:
    """Few windows and small blocks, so that windows, blocks and batches end at different places."""
    overrides = ["tiling.block=160", "tiling.blocks_per_shard=3", "tiling.offset=5", "inference.stride=48"]
    overrides += ["inference.batch_size=7", "inference.lesion_radius=200", "inference.min_tissue=0.3"]
    return load_recipe(str(ROOT / "conf" / "demo.yaml"), overrides)


@pytest.fixture(scope="session")
def tiny_model() -> keras.Model:
    return color_model()


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory, tiny_model: keras.Model, sparse: Recipe) -> Path:
    return save_with_card(tiny_model, tmp_path_factory.mktemp("model"), sparse)


@pytest.fixture(scope="session")
def exported(tiny_model: keras.Model, sparse: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`model.keras` with its card and its forms, only to be read."""
    model = save_with_card(tiny_model, tmp_path_factory.mktemp("exported"), sparse)
    probe = [{name: np.full((16, 80, 80, 3), 150, np.float32) for name in ("scale_0", "scale_1")}]
    forms = {
        "exported": export_model(tiny_model, model.parent, probe),
        "onnx": export_onnx(tiny_model, model.parent, probe),
    }
    load_card(model).model_copy(update=forms).save(model)
    return model


@pytest.fixture(scope="session")
def finished(
    spark: SparkSession, drawn: Path, sparse: Recipe, model_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """The three drawn slides, one of pure glass, and a text file that calls itself a slide."""
    folder = tmp_path_factory.mktemp("inference")
    slides, out = folder / "slides", folder / "out"
    shutil.copytree(drawn, slides)
    write_slide(slides / "glass_01.tif", np.full((512, 512, 3), 255, np.uint8))
    (slides / "bad.svs").write_text("this is not a slide")
    entries = inventory(str(slides), sparse.tiling, sparse.seed)
    summary = run_inference(spark, sparse, entries, model_file, str(out))
    return Run(slides, out, model_file, sparse, summary)
