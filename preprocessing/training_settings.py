"""What a recipe may say of training: in which draw rows come, and of each stage what is trained and how."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from preprocessing.basic_settings import NotNegative, Pixels, Positive, Settings

Inertia = Annotated[float, Field(ge=0, lt=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]


class Block(Settings):
    """Residual bottlenecks one after the other, the first of which halves the map (He et al. 2016).

    Attributes:
        channels: of the three convolutions: 1 x 1, 3 x 3, 1 x 1.
        repeats: how many.
    """

    channels: tuple[Pixels, Pixels, Pixels]
    repeats: Pixels = 1


class EveryRow(Settings):
    """Each row of the split exactly once per epoch."""

    kind: Literal["every_row"] = "every_row"


class ClassThenSlide(Settings):
    """A class, a slide that has it, then one of its patches, each drawn evenly (Liu et al. 2017, arXiv 1703.02442).

    Attributes:
        rows: draws that make an epoch; None: as many as the split has rows.
    """

    kind: Literal["class_then_slide"] = "class_then_slide"
    rows: int | None = Field(default=None, gt=0)


RowSampling = Annotated[EveryRow | ClassThenSlide, Field(discriminator="kind")]


class RMSProp(Settings):
    """RMSProp with the settings of Liu et al. 2017 (arXiv 1703.02442).

    Attributes:
        momentum: of the steps.
        rho: decay of the mean square of the gradients.
        epsilon: added to that mean square, below the root.
    """

    name: Literal["rmsprop"] = "rmsprop"
    momentum: Inertia = 0.9
    rho: Inertia = 0.9
    epsilon: Positive = 1.0


class Adam(Settings):
    """Adam (Kingma and Ba 2015).

    Attributes:
        beta_1, beta_2: decay of the mean of the gradients, and of their squares.
        epsilon: added to the root of the mean square.
    """

    name: Literal["adam"] = "adam"
    beta_1: Inertia = 0.9
    beta_2: Inertia = 0.999
    epsilon: Positive = 1e-7


class AdamW(Settings):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Attributes:
        beta_1, beta_2, epsilon: as in `Adam`.
        weight_decay: share of a kernel that a step at rate 1 takes off; biases and batch norm do not decay.
    """

    name: Literal["adamw"] = "adamw"
    beta_1: Inertia = 0.9
    beta_2: Inertia = 0.999
    epsilon: Positive = 1e-7
    weight_decay: NotNegative = 0.01


class SGD(Settings):
    """Stochastic gradient descent.

    Attributes:
        momentum: of the steps.
        nesterov: look ahead by the momentum.
        weight_decay: decoupled, as in `AdamW`.
    """

    name: Literal["sgd"] = "sgd"
    momentum: Inertia = 0.9
    nesterov: bool = False
    weight_decay: NotNegative = 0.0

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self


Optimizer = Annotated[RMSProp | Adam | AdamW | SGD, Field(discriminator="name")]


class Constant(Settings):
    """One rate for the whole stage.

    Attributes:
        value: the rate.
    """

    kind: Literal["constant"] = "constant"
    value: Positive = 1e-4


class Halved(Settings):
    """A rate that halves in stairs; Liu et al. 2017: 0.05, halved every 2 million examples.

    Attributes:
        start: the first rate.
        every: examples between two halvings, counted from the start of the stage.
    """

    kind: Literal["halved"] = "halved"
    start: Positive = 0.05
    every: int = Field(default=2_000_000, gt=0)


class OneCycle(Settings):
    """Up, then down, once per stage (Smith 2018, arXiv 1803.09820); the defaults are fastai v1's.

    Attributes:
        peak: the highest rate.
        warm_up: share of the steps that lead up to it.
        shape: of the way up; the way down is a cosine.
        start_divisor, end_divisor: the first and the last rate are the peak over these.
        momentum_high, momentum_low: the momentum (of Adam: beta_1) at both ends, and at the peak.
    """

    kind: Literal["one_cycle"] = "one_cycle"
    peak: Positive
    warm_up: OpenShare = 0.3
    shape: Literal["cosine", "linear"] = "cosine"
    start_divisor: float = Field(default=25.0, ge=1, allow_inf_nan=False)
    end_divisor: float = Field(default=25e4, ge=1, allow_inf_nan=False)
    momentum_high: OpenShare = 0.95
    momentum_low: OpenShare = 0.85

    @model_validator(mode="after")
    def _momentum_goes_down_first(self) -> Self:
        if self.momentum_low > self.momentum_high:
            raise ValueError(
                f"momentum_low ({self.momentum_low:g}) is above momentum_high ({self.momentum_high:g}): swap them"
            )
        return self


Rate = Annotated[Constant | Halved | OneCycle, Field(discriminator="kind")]


class Stage(Settings):
    """A stretch of the training in which the same layers are trained in the same way.

    Attributes:
        trainable_from: first layer of the backbone that is trained, by index or by name; the layers before it are
            frozen, with their batch norm statistics. `head` (or the number of layers) freezes the whole backbone.
        epochs: passes over the training split.
        optimizer: starts afresh with the stage.
        rate: the learning rate; it follows the examples seen in the stage, steps times batch size.
        group_rates: factors of the rate for as many equal groups of the backbone's trained layers, from input to
            output; none: 1 for all. The head always has 1.
        clip_norm: all gradients together are scaled down to this norm; None leaves them.
    """

    trainable_from: Annotated[int, Field(ge=0)] | str = 0
    epochs: int = Field(default=10, gt=0)
    optimizer: Optimizer = Adam()
    rate: Rate = Constant()
    group_rates: tuple[Positive, ...] = ()
    clip_norm: Positive | None = None

    @model_validator(mode="after")
    def _cycled_momentum_is_there(self) -> Self:
        if isinstance(self.rate, OneCycle) and self.momentum == 0:
            raise ValueError(
                f"a one_cycle rate moves the momentum, too, and this {self.optimizer.name} has none: set "
                f"{'beta_1' if isinstance(self.optimizer, Adam | AdamW) else 'momentum'} above 0, or take another rate"
            )
        return self

    @property
    def momentum(self) -> float:
        """The optimizer's momentum; of Adam it is beta_1."""
        return self.optimizer.beta_1 if isinstance(self.optimizer, Adam | AdamW) else self.optimizer.momentum
