"""What happens between the steps of a training: lines for people, checkpoints, the best model, the stop at NaN."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import keras
from keras.optimizers.schedules import LearningRateSchedule

from cluster.errors import JobError, UsageError
from training.checkpoint import Checkpoint, CheckpointFolder, replaced
from training.epochs import Epoch, Merit, Position, merit
from training.stages import Leg
from training.stream import SplitStream

LINE_EVERY: Final = 30.0  # seconds between two lines within an epoch

Logs = dict[str, Any] | None


class History(keras.callbacks.Callback):
    """Knows where the training stands: tells the stream which epoch comes, and notes what each came to.

    Args:
        stream: of the training split.
        begun: where this run goes on.
    """

    def __init__(self, stream: SplitStream, begun: Position) -> None:
        super().__init__()
        self.stream = stream
        self.stage = 1
        self.epochs: list[Epoch] = list(begun.epochs)
        self.started = time.monotonic() - begun.seconds
        self.epoch_started = self.started
        self.seconds = 0.0
        self._carried = begun.epoch_seconds

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Give the coming pass its own order."""
        self.stream.epoch = epoch
        self.epoch_started = time.monotonic() - self._carried
        self._carried = 0.0

    def on_test_begin(self, logs: Logs = None) -> None:  # noqa: ARG002
        """Stop the clock of the training part: validation follows."""
        self.seconds = time.monotonic() - self.epoch_started

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Note the epoch."""
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

    def position(self, batches: int) -> Position:
        """Where the training stands after so many batches of the running epoch."""
        now = time.monotonic()
        running = now - self.epoch_started if batches else 0.0
        return Position(tuple(self.epochs), batches, now - self.started, running)


class Lines(keras.callbacks.Callback):
    """Prints how the training goes, where no bar shows it: a line per epoch, and one every so often within.

    Args:
        history: comes before this one.
        total: epochs of all stages.
        clock: gives seconds.
    """

    def __init__(self, history: History, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.history = history
        self.total = total
        self._clock = clock
        self._last = (clock(), 0)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Start to count."""
        self._last = (self._clock(), self.history.stream.first_batch)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Tell how far the epoch is."""
        stream, (since, counted), now = self.history.stream, self._last, self._clock()
        if now - since < LINE_EVERY:
            return
        done = stream.first_batch + batch + 1
        steps_per_second = (done - counted) / (now - since)
        self._last = (now, done)
        click.echo(
            f"epoch {len(self.history.epochs) + 1}/{self.total}: {done:,} of {stream.steps:,} steps, "
            f"{steps_per_second * stream.batch_size:.0f} patches/s, "
            f"{(stream.steps - done) / steps_per_second / 60:.1f} min left in this epoch"
        )

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Tell what the epoch came to."""
        done, stream = self.history.epochs[-1], self.history.stream
        left = self.history.position(0).seconds / done.number * (self.total - done.number)
        click.echo(
            f"epoch {done.number}/{self.total}: {stream.steps} steps, loss {done.loss:.4f}, "
            f"validation loss {done.validation_loss:.4f}, validation AUC {done.validation_auc:.4f}, "
            f"{stream.rows / done.seconds:.0f} patches/s, {left / 60:.1f} min left"
        )


class StopAtNan(keras.callbacks.Callback):
    """Ends the training at the first step whose loss is no number.

    Args:
        leg: the stage that is running.
        rate: its learning rate by steps done.
        stream: of the training split.
    """

    def __init__(self, leg: Leg, rate: LearningRateSchedule, stream: SplitStream) -> None:
        super().__init__()
        self.leg = leg
        self.rate = rate
        self.stream = stream
        self.epoch = leg.first_epoch

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Note which epoch runs."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss", 0.0)
        if math.isfinite(loss):
            return
        done = self.stream.first_batch + batch
        steps = (self.epoch - self.leg.first_epoch) * self.stream.steps + done
        raise JobError(
            f"the loss became {loss} in stage {self.leg.number} of {self.leg.of} at step {steps + 1} "
            f"(epoch {self.epoch + 1}, batch {done + 1}), rate {float(self.rate(steps)):.3g}: lower "
            f"training.stages.{self.leg.number - 1}.rate, or set its clip_norm, and give another --out; the best model "
            "so far stays in the output folder"
        )


class KeepBest(keras.callbacks.Callback):
    """Saves the core whenever its `merit` is the best so far; a reader never sees half a file.

    It comes after the checkpoint of the epoch, which holds the same weights: where a training is killed between the
    two, the next run saves the model from the checkpoint.

    Args:
        core: what is trained.
        kept: the same network as it is saved; it may be `core` itself.
        path: of the model.
    """

    def __init__(self, core: keras.Model, kept: keras.Model, path: Path) -> None:
        super().__init__()
        self.core = core
        self.kept = kept
        self.path = path
        self.best: Merit = (-math.inf, -math.inf)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Save where the epoch was the best."""
        values = logs or {}
        found = merit(values["val_auc"], values["val_cross_entropy"])
        if found > self.best:
            self.best = found
            self.save()

    def save(self) -> None:
        """Save the core as it is now.

        Raises:
            JobError: the disk is full, or the folder cannot be written.
        """
        if self.kept is not self.core:
            self.kept.set_weights(self.core.get_weights())
        # HDF5 may tell a full disk by a RuntimeError.
        with _written(self.path, OSError, RuntimeError), replaced(self.path) as partial:
            self.kept.save(partial)


class Checkpoints(keras.callbacks.Callback):
    """Writes a checkpoint before the first step, then every few minutes, and after each epoch.

    The last step of an epoch is saved with its validation, not before it.

    Args:
        folder: where they go.
        history: comes before this one.
        minutes: most work that is lost; 0: a checkpoint after each step.
    """

    def __init__(self, folder: CheckpointFolder, history: History, minutes: float) -> None:
        super().__init__()
        self.folder = folder
        self.history = history
        self.seconds = 60 * minutes
        self.saved = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Write the first checkpoint: it proves that one can be written before any work is done.

        Raises:
            UsageError: it cannot.
        """
        if self.folder.files():
            return
        try:
            self._save(0)
        except JobError as error:
            raise UsageError(f"no step was made: {error}") from error

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Write one where the last one is too old."""
        done = self.history.stream.first_batch + batch + 1
        if done < self.history.stream.steps and time.monotonic() - self.saved >= self.seconds:
            self._save(done)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Write one."""
        self._save(0)

    def _save(self, batches: int) -> None:
        self.saved = time.monotonic()
        groups = {"model": self.model.variables, "optimizer": self.model.optimizer.variables}
        if batches:  # between epochs metrics count nothing
            groups["metrics"] = self.model.metrics_variables
        with _written(self.folder.path, OSError):
            self.folder.save(self.history.position(batches), groups, self.model.distribute_strategy)


class GoOn(keras.callbacks.Callback):
    """Gives optimizer and metrics the state of a checkpoint, once Keras has made them and reset the metrics.

    Args:
        found: where the training goes on, in the middle of a stage.
    """

    def __init__(self, found: Checkpoint) -> None:
        super().__init__()
        self.found = found

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Restore, at the first epoch alone."""
        if epoch != len(self.found.position.epochs):
            return
        strategy = self.model.distribute_strategy
        self.found.restore("optimizer", self.model.optimizer.variables, strategy)
        if self.found.position.batches:
            self.found.restore("metrics", self.model.metrics_variables, strategy)


@contextmanager
def _written(path: Path, *failures: type[Exception]) -> Iterator[None]:
    try:
        yield
    except failures as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise JobError(
            f"{path} could not be written ({reason}): free space there, or make it writable, and start again; the "
            "training goes on from its last checkpoint"
        ) from error


def on_terminal() -> bool:
    """Whether a person watches, to whom Keras shows a bar."""
    return sys.stdout.isatty()
