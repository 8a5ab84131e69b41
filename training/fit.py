"""The training itself: epochs, what is kept of them, and what a person sees meanwhile."""

import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import keras
from keras.optimizers.schedules import LearningRateSchedule

from cluster.errors import JobError
from preprocessing.recipe import Training
from preprocessing.training_settings import OneCycle
from training.optimizers import MomentumCycle
from training.schedules import momentum_schedule
from training.stages import Leg, compile_stage, legs
from training.stream import SplitStream, original_errors

MODEL_FILE: Final = "model.keras"


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Attributes:
        number: from 1, over all stages.
        stage: its stage, from 1.
        loss, auc: of the training patches as they passed by, augmented; cross-entropy per patch.
        validation_loss, validation_auc: of the validation split after the epoch.
        seconds: of the training part.
    """

    number: int
    stage: int
    loss: float
    auc: float
    validation_loss: float
    validation_auc: float
    seconds: float


def fit(
    model: keras.Model, core: keras.Model, train: SplitStream, validation: SplitStream, training: Training, out: Path
) -> list[Epoch]:
    """Train stage after stage, and leave the best core of all of them in `out/model.keras`.

    Args:
        model: training model.
        core: the part of it that is kept.
        train, validation: streams of the splits.
        training: the stages.
        out: folder for the model, `checkpoints/` and `logs/`.

    Returns:
        One entry per epoch, numbered through.

    Raises:
        UsageError: a stage does not fit the model.
        JobError: the loss became NaN, or a stream broke off.
    """
    interactive = sys.stdout.isatty()
    ways = list(legs(training.stages))
    history = History(train, ways[-1].last_epoch, silent=interactive)
    kept = [
        history,
        KeepBest(core, out / MODEL_FILE),
        Checkpoint(core, out / "checkpoints"),
        keras.callbacks.TensorBoard(out / "logs", write_graph=False),
    ]
    for leg in ways:
        history.stage = leg.number
        steps = leg.stage.epochs * train.steps
        rate = compile_stage(model, core, leg.stage, training, steps)
        if leg.of > 1:
            click.echo(f"stage {leg.number}/{leg.of}: {_described(core, leg)}")
        own: list[keras.callbacks.Callback] = [StopAtNan(leg, rate)]
        if isinstance(leg.stage.rate, OneCycle):
            own.append(MomentumCycle(momentum_schedule(leg.stage.rate, steps)))
        with original_errors(train, validation):
            model.fit(
                train.dataset(),
                validation_data=validation.dataset(),
                initial_epoch=leg.first_epoch,
                epochs=leg.last_epoch,
                callbacks=[*own, *kept],
                verbose=1 if interactive else 0,
                shuffle=False,  # the stream has mixed the rows already
            )
    return history.epochs


def _described(core: keras.Model, leg: Leg) -> str:
    trained = sum(variable.value.shape.num_elements() for variable in core.trainable_variables)
    epochs = "1 epoch" if leg.stage.epochs == 1 else f"{leg.stage.epochs} epochs"
    return (
        f"{epochs}, {leg.stage.optimizer.name}, rate {leg.stage.rate.kind}, "
        f"{trained:,} of {core.count_params():,} weights trained"
    )


class History(keras.callbacks.Callback):
    """Tells the stream which epoch comes, notes what it came to, and prints one line where no bar is shown."""

    def __init__(self, stream: SplitStream, total: int, silent: bool) -> None:
        super().__init__()
        self.stream = stream
        self.total = total
        self.silent = silent
        self.stage = 1
        self.epochs: list[Epoch] = []
        self.started = self.epoch_started = self.seconds = 0.0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Start the clock of the whole training, with its first stage."""
        self.started = self.started or time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Give the coming pass its own order."""
        self.stream.epoch = epoch
        self.epoch_started = time.monotonic()

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Stop the clock of the training part: validation follows."""
        self.seconds = time.monotonic() - self.epoch_started

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Note and print the epoch."""
        values = logs or {}
        done = Epoch(
            number=epoch + 1,
            stage=self.stage,
            loss=values["cross_entropy"],
            auc=values["auc"],
            validation_loss=values["val_cross_entropy"],
            validation_auc=values["val_auc"],
            seconds=self.seconds,
        )
        self.epochs.append(done)
        if not self.silent:
            left = (time.monotonic() - self.started) / done.number * (self.total - done.number)
            click.echo(
                f"epoch {done.number}/{self.total}: {self.stream.steps} steps, loss {done.loss:.4f}, "
                f"validation loss {done.validation_loss:.4f}, validation AUC {done.validation_auc:.4f}, "
                f"{self.stream.rows / done.seconds:.0f} patches/s, {left / 60:.1f} min left"
            )


class StopAtNan(keras.callbacks.Callback):
    """Ends the training at the first step whose loss is no number.

    Args:
        leg: the stage that is running.
        rate: its learning rate by steps done.
    """

    def __init__(self, leg: Leg, rate: LearningRateSchedule) -> None:
        super().__init__()
        self.leg = leg
        self.rate = rate
        self.epoch = leg.first_epoch
        self.steps = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Note which epoch runs."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise JobError(
                f"the loss became {loss} in stage {self.leg.number} of {self.leg.of} at step {self.steps + 1} "
                f"(epoch {self.epoch + 1}, batch {batch + 1}), rate {float(self.rate(self.steps)):.3g}: lower "
                f"training.stages.{self.leg.number - 1}.rate, or set its clip_norm; the best model so far stays in "
                "the output folder"
            )
        self.steps += 1


class KeepBest(keras.callbacks.Callback):
    """Saves the core whenever its validation AUC is the best so far; a reader never sees half a file."""

    def __init__(self, core: keras.Model, path: Path) -> None:
        super().__init__()
        self.core = core
        self.path = path
        self.best = -math.inf

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Save where the epoch was the best."""
        auc = (logs or {})["val_auc"]
        if auc > self.best:
            self.best = auc
            partial = self.path.with_name(".partial.keras")
            self.core.save(partial)
            os.replace(partial, self.path)


class Checkpoint(keras.callbacks.Callback):
    """Keeps the core's weights of the last finished epoch: `checkpoints/epoch_0007.weights.h5`."""

    def __init__(self, core: keras.Model, folder: Path) -> None:
        super().__init__()
        self.core = core
        self.folder = folder

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Write this epoch's weights, then drop the older ones."""
        self.folder.mkdir(parents=True, exist_ok=True)
        older = list(self.folder.glob("epoch_*.weights.h5"))
        partial = self.folder / ".partial.weights.h5"
        path = self.folder / f"epoch_{epoch + 1:04d}.weights.h5"
        self.core.save_weights(partial)
        os.replace(partial, path)
        for file in older:
            if file != path:
                file.unlink()
