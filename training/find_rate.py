"""The learning-rate range test (Smith 2015, arXiv 1506.01186): which rate to begin with, found in a hundred steps.

The rate rises exponentially while a fresh model trains. It says where the loss falls fastest, and where it is lowest
before it explodes; neither says what many epochs at that rate come to.
"""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import keras
import tensorflow as tf
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from preprocessing.hashing import stable_hash
from preprocessing.recipe import Recipe, Training
from training.models import core_model, training_model
from training.rate_plot import rate_figure
from training.rate_range import FoundRate, RangePoint, exploded, judge, smoothed
from training.schedules import ExponentialSchedule
from training.stages import check_stages, compile_at
from training.stream import SplitStream, original_errors

CSV_FILE: Final = "find_rate.csv"
FIGURE_FILE: Final = "find_rate.png"

LOWEST: Final = 1e-7
HIGHEST: Final = 10.0
STEPS: Final = 100


def find_rate(
    recipe: Recipe, train: SplitStream, out: Path, strategy: tf.distribute.Strategy, class_weights: Sequence[float] = ()
) -> FoundRate:
    """Test rates for the first stage of a recipe on a fresh model, which is thrown away.

    Args:
        recipe: what to train, and how.
        train: stream of the training split; passed over as often as a hundred steps need.
        out: folder; it gets `find_rate.csv` and `find_rate.png`.
        strategy: from `strategy.mirrored`.
        class_weights: see `losses.class_weights`.

    Raises:
        UsageError: a stage does not fit the model.
        JobError: the stream broke off.
    """
    keras.utils.set_random_seed(stable_hash("weights", recipe.seed) % 2**31)
    with strategy.scope():
        core = core_model(len(recipe.tiling.scales), recipe.tiling.window, recipe.training, len(recipe.classes))
        model = training_model(core, recipe)
    check_stages(core, recipe.training)
    points = sweep(model, core, recipe.training, train, class_weights)
    found = judge(points, recipe.training.stages)
    _save(found, out)
    return found


def sweep(
    model: keras.Model, core: keras.Model, training: Training, train: SplitStream, class_weights: Sequence[float] = ()
) -> tuple[RangePoint, ...]:
    """Train the layers of the first stage by its optimizer, momentum held still, while the rate rises.

    Args:
        model, core: see `stages.compile_at`.
        training: its first stage counts. Group rates hold: the rate is that of the head.
        train: stream of the training split.
        class_weights: see `losses.class_weights`.

    Returns:
        The steps up to the one whose loss exploded; a loss that is no number is left out.
    """
    rate = ExponentialSchedule(LOWEST, HIGHEST, STEPS)
    compile_at(rate, model, core, training.stages[0], training, class_weights)
    steps = _Steps(train, rate)
    with original_errors(train):
        passes = -(-STEPS // train.steps)
        model.fit(train.dataset(), epochs=passes, callbacks=[steps], verbose=0, shuffle=False)
    return smoothed(steps.rates, steps.losses)


class _Steps(keras.callbacks.Callback):
    """Rate and loss of each single step, and the end of the test."""

    def __init__(self, stream: SplitStream, rate: LearningRateSchedule) -> None:
        super().__init__()
        self.stream = stream
        self.rate = rate
        self.rates: list[float] = []
        self.losses: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Give each pass its own order."""
        self.stream.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Forget the steps before: Keras reports the mean of the epoch so far."""
        self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the loss, per real row: the last batch of a pass is filled up with rows that weigh nothing."""
        size = self.stream.batch_size
        real = min(size, self.stream.rows - batch * size)
        loss = (logs or {})["loss"] * size / real
        done = int(ops.convert_to_numpy(self.model.optimizer.iterations))
        if math.isfinite(loss) and done > len(self.losses):  # float16 may have skipped the step
            self.rates.append(float(self.rate(done - 1)))
            self.losses.append(loss)
        self.model.stop_training = not math.isfinite(loss) or done == STEPS or exploded(self.losses)


def _save(found: FoundRate, out: Path) -> None:
    with (out / CSV_FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("step", "rate", "loss", "smoothed_rate", "smoothed_loss"))
        for step, point in enumerate(found.points, 1):
            values = (point.rate, point.loss, point.smoothed_rate, point.smoothed_loss)
            writer.writerow((step, *(f"{value:.6g}" for value in values)))
    rate_figure(found.points, found.steepest, found.tenth).savefig(out / FIGURE_FILE, dpi=150)
