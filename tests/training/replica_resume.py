"""Breaks a training off on N replicas and lets it go on, and prints as JSON how far it ends from an undisturbed one.

python -m tests.training.replica_resume URI RECIPE_JSON REPLICAS OUT
"""

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from preprocessing.recipe import Recipe
from tests.training.tiny_core import tiny_core
from training.epochs import Epoch
from training.fit import fit
from training.models import training_model
from training.strategy import mirrored
from training.stream import Shuffle, SplitStream
from training.table import open_table

uri, recipe_json, replicas, out = sys.argv[1:]
recipe = Recipe.model_validate_json(recipe_json)
settings, window = recipe.training, recipe.tiling.window
strategy = mirrored(int(replicas), settings.batch_size)


class BreakOff(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        if batch == 3 and self.model.optimizer.iterations > 6:
            raise KeyboardInterrupt


def train(folder: str, *callbacks: keras.callbacks.Callback) -> tuple[list[np.ndarray], list[Epoch]]:
    """All values of the model on all replicas."""
    keras.utils.set_random_seed(1)
    with strategy.scope():
        core = tiny_core()
        model = training_model(core, recipe)
    table = open_table(uri)
    streams = (
        SplitStream(table, "train", window, settings.batch_size, shuffle=Shuffle(recipe.seed, 32)),
        SplitStream(table, "validation", window, settings.batch_size),
    )
    epochs = fit(model, core, *streams, settings, Path(out) / folder, callbacks=callbacks)
    values = [strategy.experimental_local_results(variable.value) for variable in model.variables]
    return [local.numpy() for of in values for local in of], epochs


straight, epochs = train("straight")
try:
    train("broken", BreakOff())
except KeyboardInterrupt:
    print("broken off", file=sys.stderr)
resumed, again = train("broken")
print(
    json.dumps(
        {
            "replicas": strategy.num_replicas_in_sync,
            "values": len(straight),
            "weights": max(float(np.abs(one - other).max()) for one, other in zip(straight, resumed, strict=True)),
            "metrics": max(
                abs(getattr(one, name) - getattr(other, name))
                for one, other in zip(epochs, again, strict=True)
                for name in ("loss", "auc", "validation_loss", "validation_auc")
            ),
        }
    )
)
