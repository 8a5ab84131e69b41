"""Stages: which layers of the core are trained, at which share of the rate, and the model made ready for that."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import keras
from keras.optimizers.schedules import LearningRateSchedule

from cluster.errors import UsageError
from preprocessing.recipe import Training
from preprocessing.training_settings import Stage
from training.backbones import TOWER
from training.losses import ClassWeightedCrossEntropy, stage_metrics
from training.models import number_of_classes
from training.optimizers import stage_optimizer
from training.precision import LossScale
from training.schedules import rate_schedule

HEAD: Final = "head"


@dataclass(frozen=True)
class Leg:
    """A stage in its place.

    Attributes:
        number, of: the stage, from 1, and how many there are.
        stage: its settings.
        first_epoch: epochs done before it.
    """

    number: int
    of: int
    stage: Stage
    first_epoch: int

    @property
    def last_epoch(self) -> int:
        """Epochs done after it."""
        return self.first_epoch + self.stage.epochs


def legs(stages: Sequence[Stage]) -> Iterator[Leg]:
    """The stages in their order, epochs numbered through."""
    done = 0
    for number, stage in enumerate(stages, 1):
        yield Leg(number, len(stages), stage, done)
        done += stage.epochs


def check_stages(core: keras.Model, training: Training) -> None:
    """Look through all stages before the first one starts.

    Raises:
        UsageError: a stage names a layer that the backbone does not have, or more groups than trained layers.
    """
    for number, stage in enumerate(training.stages):
        try:
            _groups(core, stage, training.freeze_batch_norm)
        except UsageError as error:
            raise UsageError(f"training.stages.{number}.{error}") from error


def backbones(core: keras.Model) -> list[keras.Model]:
    """The towers of a core: the layers `tower_0`, …. All else is the head, residual blocks as well."""
    return [layer for layer in core.layers if layer.name.startswith(TOWER)]


def set_trainable(core: keras.Model, stage: Stage, freeze_batch_norm: bool) -> None:
    """Freeze what the stage leaves alone and free the rest; takes effect when the model is compiled.

    A frozen batch norm uses its stored statistics in training and leaves them as they are.

    Args:
        core: the model that is kept.
        stage: names the first trained layer of every backbone.
        freeze_batch_norm: freeze every batch norm of the backbones.
    """
    core.trainable = True
    first = first_trained(core, stage.trainable_from)
    for backbone in backbones(core):
        for index, layer in enumerate(backbone.layers):
            layer.trainable = index >= first and not (freeze_batch_norm and _normalizes(layer))


def first_trained(core: keras.Model, wanted: int | str) -> int:
    """Index of the first trained layer of every backbone; the number of its layers where none is trained.

    A name is looked up in the first backbone: Keras numbers unnamed layers through the others.

    Raises:
        UsageError: there is no such layer.
    """
    names = [layer.name for layer in backbones(core)[0].layers]
    if wanted == HEAD:
        return len(names)
    if isinstance(wanted, int):
        if wanted > len(names):
            ends = ", ".join(names[-3:])
            raise UsageError(
                f"trainable_from is {wanted}, the backbone has {len(names)} layers, the last of them {ends}: "
                f"give at most {len(names)}, or a name"
            )
        return wanted
    if wanted in names:
        return names.index(wanted)
    near = difflib.get_close_matches(wanted, [*names, HEAD], n=5, cutoff=0.4)
    remedy = f"near names: {', '.join(near)}" if near else f"give an index up to {len(names)}, or {HEAD}"
    raise UsageError(f"trainable_from: the backbone has no layer '{wanted}'; {remedy}")


def rate_factors(core: keras.Model, stage: Stage, freeze_batch_norm: bool) -> list[float]:
    """Factors of the rate, one per trainable variable of the core, in the order of `core.trainable_variables`.

    Raises:
        UsageError: a backbone has fewer trained layers than there are groups.
    """
    factors: dict[int, float] = {}
    for group, layers in enumerate(_groups(core, stage, freeze_batch_norm)):
        factors |= {id(variable): stage.group_rates[group] for layer in layers for variable in layer.variables}
    return [factors.get(id(variable), 1.0) for variable in core.trainable_variables]


def compile_stage(
    model: keras.Model,
    core: keras.Model,
    stage: Stage,
    training: Training,
    steps: int,
    class_weights: Sequence[float] = (),
) -> LearningRateSchedule:
    """Set what is trained, then loss, optimizer and metrics.

    Args:
        model, core, stage, training, class_weights: see `compile_at`.
        steps: of the whole stage.

    Returns:
        The learning rate by steps done.

    Raises:
        UsageError: see `check_stages`.
    """
    rate = rate_schedule(stage, steps, training.batch_size)
    compile_at(rate, model, core, stage, training, class_weights)
    return rate


def compile_at(
    rate: LearningRateSchedule,
    model: keras.Model,
    core: keras.Model,
    stage: Stage,
    training: Training,
    class_weights: Sequence[float] = (),
) -> None:
    """Make the model ready for a stage, at any rate.

    Each real row counts its class weight / batch size towards the step, on every replica alike, so the filled last
    batch makes a smaller step. The metric `cross_entropy` is the mean per real row without class weights.

    Args:
        rate: learning rate by steps done.
        model: the model that is trained; its variables are the core's.
        core: the part of it that is kept.
        stage: what to train, and how; its rate is left aside.
        training: precision, XLA, and whether batch norm is frozen.
        class_weights: see `losses.class_weights`; none: 1 for all.

    Raises:
        UsageError: see `check_stages`.
    """
    set_trainable(core, stage, training.freeze_batch_norm)
    classes = number_of_classes(core)
    with model.distribute_strategy.scope():
        optimizer = stage_optimizer(stage, rate, rate_factors(core, stage, training.freeze_batch_norm))
        model.compile(
            optimizer=LossScale(optimizer) if training.precision == "float16" else optimizer,
            loss=ClassWeightedCrossEntropy(class_weights or (1.0,) * classes),
            weighted_metrics=stage_metrics(classes),
            jit_compile=training.xla,
            auto_scale_loss=False,  # Keras would scale by the policy of the outermost model
        )


def _groups(core: keras.Model, stage: Stage, freeze_batch_norm: bool) -> list[list[keras.layers.Layer]]:
    """The trained layers with weights, of every backbone cut into equal groups; the first ones get the odd layers."""
    count = len(stage.group_rates)
    first = first_trained(core, stage.trainable_from)
    groups: list[list[keras.layers.Layer]] = [[] for _ in range(count)]
    if count == 0:
        return groups
    for backbone in backbones(core):
        trained = [
            layer
            for layer in backbone.layers[first:]
            if layer.variables and not (freeze_batch_norm and _normalizes(layer))
        ]
        if count > len(trained):
            raise UsageError(
                f"group_rates names {count} groups, and {len(trained)} layers of the backbone are trained: "
                "give fewer, or train more"
            )
        size, odd = divmod(len(trained), count)
        bounds = [group * size + min(group, odd) for group in range(count + 1)]
        for group in range(count):
            groups[group] += trained[bounds[group] : bounds[group + 1]]
    return groups


def _normalizes(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)
