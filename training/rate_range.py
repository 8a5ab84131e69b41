"""What a learning-rate range test says: smoothed losses, suggestions, and how to write them down; plain numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import yaml

from preprocessing.training_settings import Constant, Halved, OneCycle, Stage

_MEMORY: Final = 0.9  # of the running means: the last ten steps
_EXPLODED: Final = 4.0  # times the best smoothed loss
_SETTLED: Final = 10  # steps after which a running mean no longer hangs on the first losses


@dataclass(frozen=True)
class RangePoint:
    """One step of the test.

    Attributes:
        rate: of this step.
        loss: of its batch, before the step.
        smoothed_rate, smoothed_loss: running means; of the rate it is the geometric one.
    """

    rate: float
    loss: float
    smoothed_rate: float
    smoothed_loss: float


@dataclass(frozen=True)
class FoundRate:
    """What the test came to.

    Attributes:
        points: one per step, as far as the test went.
        steepest: the rate at which the smoothed loss falls fastest; None where it never falls.
        tenth: a tenth of the rate at which the smoothed loss is lowest; None where it never falls.
        remedy: the option that sets `suggested`, or what to do where there is none; for people.
    """

    points: tuple[RangePoint, ...]
    steepest: float | None
    tenth: float | None
    remedy: str

    @property
    def suggested(self) -> float | None:
        """The lower of the two."""
        return None if self.steepest is None or self.tenth is None else min(self.steepest, self.tenth)


def exploded(losses: Sequence[float]) -> bool:
    """Whether the smoothed loss has grown to 4 times its best."""
    means = _running_means(losses)
    return len(means) > _SETTLED and means[-1] > _EXPLODED * min(means)


def smoothed(rates: Sequence[float], losses: Sequence[float]) -> tuple[RangePoint, ...]:
    """Running means, bias corrected as in Adam, of the loss and of the logarithm of the rate.

    Both have the same weights, so that the smoothed curve does not lag behind the rate.
    """
    means = _running_means(losses)
    places = [math.exp(value) for value in _running_means([math.log(rate) for rate in rates])]
    return tuple(RangePoint(*values) for values in zip(rates, losses, places, means, strict=True))


def judge(points: Sequence[RangePoint], stages: Sequence[Stage]) -> FoundRate:
    """Read the suggestions off the smoothed curve, from the settled points up to the lowest one.

    Args:
        points: from `smoothed`.
        stages: of the recipe; the first one was tested.
    """
    settled = points[_SETTLED:]
    lowest = min(range(len(settled)), key=lambda place: settled[place].smoothed_loss, default=0)
    falls = [
        (
            (after.smoothed_loss - before.smoothed_loss)
            / (math.log(after.smoothed_rate) - math.log(before.smoothed_rate)),
            math.sqrt(before.smoothed_rate * after.smoothed_rate),
        )
        for before, after in pairwise(settled[: lowest + 1])
    ]
    if not falls or min(falls)[0] >= 0:
        remedy = (
            "the loss never fell at any rate: look at the labels and the layers that are trained, give larger "
            "batches, or train more layers"
        )
        return FoundRate(tuple(points), None, None, remedy)
    steepest, tenth = min(falls)[1], settled[lowest].smoothed_rate / 10
    return FoundRate(tuple(points), steepest, tenth, override(stages, min(steepest, tenth)))


def override(stages: Sequence[Stage], rate: float) -> str:
    """The option of `histospark train` that gives the first stage this rate, and leaves all else as it is."""
    settings = [_said(stage) for stage in stages]
    settings[0]["rate"] |= {_rate_key(stages[0]): float(f"{rate:.2g}")}
    return f"--set 'training.stages={yaml.safe_dump(settings, default_flow_style=True, width=math.inf).strip()}'"


def _said(stage: Stage) -> dict[str, Any]:
    """What the recipe says of a stage, with the names of its parts, which YAML needs."""
    said = stage.model_dump(mode="json", exclude_unset=True)
    said["rate"] = {"kind": stage.rate.kind, **said.get("rate", {})}
    if "optimizer" in said:
        said["optimizer"] = {"name": stage.optimizer.name, **said["optimizer"]}
    return said


def _rate_key(stage: Stage) -> str:
    match stage.rate:
        case OneCycle():
            return "peak"
        case Halved():
            return "start"
        case Constant():
            return "value"


def _running_means(values: Sequence[float]) -> list[float]:
    mean, means = 0.0, []
    for step, value in enumerate(values, 1):
        mean = _MEMORY * mean + (1 - _MEMORY) * value
        means.append(mean / (1 - _MEMORY**step))
    return means
