"""A model with both exported forms beside it."""

from pathlib import Path

import keras
import numpy as np
import pytest

from preprocessing.recipe import Recipe
from tests.inference.color_model import save_with_card
from training.card import load_card
from training.export import export_model, export_onnx


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
