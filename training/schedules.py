"""Learning rates as they follow the examples seen in a stage."""

from typing import Any, Literal

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from preprocessing.training_settings import Constant, Halved, OneCycle, Stage


def rate_schedule(stage: Stage, steps: int, batch_size: int) -> LearningRateSchedule:
    """The rate of a stage as a function of the steps done in it.

    Args:
        stage: its settings.
        steps: of the whole stage.
        batch_size: examples per step over all replicas together.
    """
    match stage.rate:
        case Constant(value=value):
            return ConstantSchedule(value)
        case Halved(start=start, every=every):
            return HalvedSchedule(start, every, batch_size)
        case OneCycle() as cycle:
            ends = (cycle.peak / cycle.start_divisor, cycle.peak / cycle.end_divisor)
            return CycleSchedule(ends[0], cycle.peak, ends[1], steps, cycle.warm_up, cycle.shape)


def momentum_schedule(cycle: OneCycle, steps: int) -> LearningRateSchedule:
    """The momentum that goes with a one-cycle rate: low where the rate is high."""
    high, low = cycle.momentum_high, cycle.momentum_low
    return CycleSchedule(high, low, high, steps, cycle.warm_up, cycle.shape)


@keras.saving.register_keras_serializable("histospark")
class ConstantSchedule(LearningRateSchedule):
    """Always the same."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, step: Any) -> Any:  # noqa: ARG002
        """The rate of the step after `step` steps."""
        return ops.convert_to_tensor(self.value, "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"value": self.value}


@keras.saving.register_keras_serializable("histospark")
class HalvedSchedule(LearningRateSchedule):
    """Halves with every so many examples; counted in whole numbers, so that no stair comes a step late."""

    def __init__(self, start: float, every: int, batch_size: int) -> None:
        self.start = start
        self.every = every
        self.batch_size = batch_size

    def __call__(self, step: Any) -> Any:
        """The rate of the step after `step` steps."""
        halvings = ops.floor_divide(ops.cast(step, "int64") * self.batch_size, self.every)
        return self.start * ops.power(0.5, ops.cast(halvings, "float32"))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"start": self.start, "every": self.every, "batch_size": self.batch_size}


@keras.saving.register_keras_serializable("histospark")
class ExponentialSchedule(LearningRateSchedule):
    """From `start` to `end` in equal ratios; `end` is the rate of the last step."""

    def __init__(self, start: float, end: float, steps: int) -> None:
        self.start = start
        self.end = end
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        """The rate of the step after `step` steps."""
        way = ops.cast(step, "float32") / (self.steps - 1)
        return self.start * ops.power(self.end / self.start, way)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"start": self.start, "end": self.end, "steps": self.steps}


@keras.saving.register_keras_serializable("histospark")
class CycleSchedule(LearningRateSchedule):
    """From `start` to `peak` in the first `warm_up` of the steps, then along a cosine to `end`.

    The peak may lie below both ends: so the momentum goes. As in fastai, `end` would be the value of the step
    after the last.
    """

    def __init__(
        self, start: float, peak: float, end: float, steps: int, warm_up: float, shape: Literal["cosine", "linear"]
    ) -> None:
        self.start = start
        self.peak = peak
        self.end = end
        self.steps = steps
        self.warm_up = warm_up
        self.shape = shape

    def __call__(self, step: Any) -> Any:
        """The rate of the step after `step` steps."""
        done = ops.cast(step, "float32") / self.steps
        up = ops.clip(done / self.warm_up, 0.0, 1.0)
        down = ops.clip((done - self.warm_up) / (1 - self.warm_up), 0.0, 1.0)
        rising = self.start + (self.peak - self.start) * (_eased(up) if self.shape == "cosine" else up)
        falling = self.peak + (self.end - self.peak) * _eased(down)
        return ops.where(done < self.warm_up, rising, falling)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        names = ("start", "peak", "end", "steps", "warm_up", "shape")
        return {name: getattr(self, name) for name in names}


def _eased(way: Any) -> Any:
    """Half a cosine from 0 to 1."""
    return 0.5 - 0.5 * ops.cos(way * 3.141592653589793)
