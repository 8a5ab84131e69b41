"""The training itself: stage after stage, from where an earlier run of it ended."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click
import keras

from cluster.errors import UsageError
from preprocessing.recipe import Training
from preprocessing.training_settings import OneCycle
from training.callbacks import Checkpoints, GoOn, History, KeepBest, Lines, StopAtNan, on_terminal
from training.checkpoint import Checkpoint, CheckpointFolder
from training.epochs import Epoch, Position, best_epoch, merit
from training.losses import class_weights
from training.models import number_of_classes
from training.optimizers import MomentumCycle
from training.precision import StopAtVanishedScale
from training.room import check_room
from training.schedules import momentum_schedule
from training.stages import Leg, compile_stage, legs
from training.stream import SplitStream, original_errors
from training.training_identity import training_identity

MODEL_FILE: Final = "model.keras"
CHECKPOINTS: Final = "checkpoints"


def fit(
    model: keras.Model,
    core: keras.Model,
    train: SplitStream,
    validation: SplitStream,
    training: Training,
    out: Path,
    kept: keras.Model | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> list[Epoch]:
    """Train stage after stage, and leave the best core of all of them in `out/model.keras`.

    Where `out` holds checkpoints of the same training it goes on from the newest one.

    Args:
        model: training model, made in the scope of a distribution strategy.
        core: the part of it that is kept.
        train, validation: streams of the splits.
        training: the stages.
        out: folder for the model, `checkpoints/` and `logs/`.
        kept: the core as it is saved, where that is another object with the same weights.
        callbacks: more of them, which come last.

    Returns:
        One entry per epoch, numbered through, those of earlier runs included.

    Raises:
        UsageError: a stage does not fit the model, the disk has too little room, or `out` holds another training.
        JobError: the loss became NaN, a stream broke off, or something could not be written.
    """
    ways = list(legs(training.stages))
    total = ways[-1].last_epoch
    folder = checkpoints_of(train, validation, training, out)
    found = folder.newest()
    begun = found.position if found else Position()
    best = KeepBest(core, kept or core, out / MODEL_FILE)
    if found:
        _take_up(found, total, model, best)
    if len(begun.epochs) < total:
        check_room(out, model, core, training)
    history = History(train, begun)
    shared = [
        history,
        *([] if on_terminal() else [Lines(history, total)]),
        Checkpoints(folder, history, training.checkpoint_minutes),
        best,
        keras.callbacks.TensorBoard(out / "logs", write_graph=False),
        *callbacks,
    ]
    for leg in ways:
        history.stage = leg.number
        _train_stage(leg, model, core, train, validation, training, shared, found)
    return history.epochs


def checkpoints_of(train: SplitStream, validation: SplitStream, training: Training, out: Path) -> CheckpointFolder:
    """Where a training keeps its checkpoints."""
    return CheckpointFolder(out / CHECKPOINTS, training_identity(train, validation, training))


def _take_up(found: Checkpoint, total: int, model: keras.Model, best: KeepBest) -> None:
    """Give the model the weights of a checkpoint, and see to it that its best model is there.

    Raises:
        UsageError: the best model was removed.
    """
    done, last_best = found.position.epochs, best_epoch(found.position.epochs)
    found.restore("model", model.variables, model.distribute_strategy)
    if last_best:
        best.best = merit(last_best.validation_auc, last_best.validation_loss)
        if found.position.batches == 0 and last_best is done[-1]:
            best.save()  # a run that was killed right after this checkpoint had no time to
        elif not best.path.exists():
            raise UsageError(
                f"{best.path} is gone, the model of epoch {last_best.number} and the best so far: put it back, or "
                f"remove {found.path.parent} to train anew"
            )
    if len(done) == total:
        click.echo(f"all {total} epochs are done already ({found.path})")
    else:
        after = f" after batch {found.position.batches}" if found.position.batches else ""
        click.echo(f"going on in epoch {len(done) + 1} of {total}{after} ({found.path})")


def _train_stage(
    leg: Leg,
    model: keras.Model,
    core: keras.Model,
    train: SplitStream,
    validation: SplitStream,
    training: Training,
    shared: Sequence[keras.callbacks.Callback],
    found: Checkpoint | None,
) -> None:
    """One stage, or what is left of it; the optimizer starts afresh, or as the checkpoint within the stage has it."""
    begun = found.position if found else Position()
    if len(begun.epochs) >= leg.last_epoch:
        return
    steps = leg.stage.epochs * train.steps
    weights = class_weights(training.class_weights, train.rows_per_label(), number_of_classes(core))
    rate = compile_stage(model, core, leg.stage, training, steps, weights)
    if leg.of > 1:
        click.echo(f"stage {leg.number}/{leg.of}: {_described(core, leg)}")
    own: list[keras.callbacks.Callback] = [StopAtNan(leg, rate, train), StopAtVanishedScale()]
    if isinstance(leg.stage.rate, OneCycle):
        own.append(MomentumCycle(momentum_schedule(leg.stage.rate, steps)))
    if found and (len(begun.epochs), begun.batches) > (leg.first_epoch, 0):
        own.insert(0, GoOn(found))
    for first, last, batches in _stretches(leg, begun):
        train.epoch, train.first_batch = first, batches
        with original_errors(train, validation):
            model.fit(
                train.dataset(),
                validation_data=validation.dataset(),
                initial_epoch=first,
                epochs=last,
                callbacks=[*own, *shared],
                verbose=1 if on_terminal() else 0,
                shuffle=False,  # the stream has mixed the rows already
            )


def _stretches(leg: Leg, begun: Position) -> Iterator[tuple[int, int, int]]:
    """What Keras is to do in one go: first epoch, the epoch after the last one, and batches left out of the first.

    An epoch that was interrupted has fewer batches than the others, so it goes by itself.
    """
    done = len(begun.epochs)
    first = max(leg.first_epoch, done)
    if begun.batches and first == done:
        yield first, first + 1, begun.batches
        first += 1
    if first < leg.last_epoch:
        yield first, leg.last_epoch, 0


def _described(core: keras.Model, leg: Leg) -> str:
    trained = sum(variable.value.shape.num_elements() for variable in core.trainable_variables)
    epochs = "1 epoch" if leg.stage.epochs == 1 else f"{leg.stage.epochs} epochs"
    return (
        f"{epochs}, {leg.stage.optimizer.name}, rate {leg.stage.rate.kind}, "
        f"{trained:,} of {core.count_params():,} weights trained"
    )
