"""A model whose answer is known without running it: the logistic of a weighted mean color, different at each scale."""

from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from preprocessing.recipe import Recipe
from training.card import DataCard, ModelCard, model_id
from training.metrics import BinaryMetrics

# Per gray level of red, green, blue; unequal, so that swapped scales or channels show.
WEIGHTS = ((0.02, -0.04, 0.0), (0.0, 0.0, -0.02))
BIAS = 5.6
THRESHOLD = 0.61  # that "training" chose


def expected_probability(means: NDArray[np.float64], bias: float = BIAS) -> NDArray[np.float64]:
    """(n, 2 scales, 3) mean colors to (n,) probabilities."""
    return 1 / (1 + np.exp(-((means * np.array(WEIGHTS)).sum(axis=(1, 2)) + bias)))


def color_model(window: int = 80, bias: float = BIAS) -> keras.Model:
    inputs = {f"scale_{k}": keras.Input((window, window, 3), name=f"scale_{k}") for k in range(2)}
    means = [keras.layers.GlobalAveragePooling2D()(pixels) for pixels in inputs.values()]
    last = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Model(inputs, last(keras.layers.Concatenate()(means)))
    last.set_weights([np.array(WEIGHTS, np.float32).reshape(6, 1), np.array([bias], np.float32)])
    return model


def save_with_card(model: keras.Model, folder: Path, recipe: Recipe) -> Path:
    """`model.keras` and `model.json`, as training leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.keras"
    model.save(path)
    validation = BinaryMetrics(0.9, THRESHOLD, 0.8, 0.8, 0.8, 0.7, 100, 40)
    ModelCard(
        model_id=model_id(path),
        recipe=recipe,
        data=DataCard(patches="nowhere", recipe_id=recipe.recipe_id, rows={}, slides={}),
        versions={},
        metrics={"validation": validation},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    ).save(path)
    return path
