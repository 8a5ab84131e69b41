"""Trains a few steps on N replicas and prints the losses as JSON; a program, as devices are cut only once.

python -m tests.training.replica_losses URI RECIPE_JSON REPLICAS
"""

import json
import sys

import keras

from preprocessing.recipe import Recipe
from training.models import core_model, training_model
from training.stages import compile_stage
from training.strategy import mirrored
from training.stream import Shuffle, SplitStream
from training.table import open_table


class Losses(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        self.values.append((logs or {})["loss"])


uri, recipe_json, replicas = sys.argv[1:]
recipe = Recipe.model_validate_json(recipe_json)
settings = recipe.training
strategy = mirrored(int(replicas), settings.batch_size)
keras.utils.set_random_seed(1)
with strategy.scope():
    core = core_model(len(recipe.tiling.scales), recipe.tiling.window, settings)
    model = training_model(core, recipe)
stream = SplitStream(
    open_table(uri), "train", recipe.tiling.window, settings.batch_size, shuffle=Shuffle(recipe.seed, 32)
)
compile_stage(model, core, settings.stages[0], settings, stream.steps)
losses = Losses()
model.fit(stream.dataset(), epochs=1, callbacks=[losses], verbose=0)
print(json.dumps({"replicas": strategy.num_replicas_in_sync, "values": losses.values}))
