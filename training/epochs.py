"""What epochs came to, and where a training stands in them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self


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


@dataclass(frozen=True)
class Position:
    """Where a training stands, over all its runs.

    Attributes:
        epochs: the finished ones.
        batches: done in the epoch after them.
        seconds: that the training took so far.
        epoch_seconds: of these, in the epoch that is not finished.
    """

    epochs: tuple[Epoch, ...] = ()
    batches: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """A position as `stored` wrote it.

        Raises:
            TypeError: it is another form.
        """
        return cls(**{**stored, "epochs": tuple(Epoch(**epoch) for epoch in stored["epochs"])})

    def stored(self) -> dict[str, Any]:
        """As JSON can hold it; a number comes back to its last bit."""
        return asdict(self)


Merit = tuple[float, float]
"""What a model is kept by: the higher, the better."""


def merit(validation_auc: float, validation_loss: float) -> Merit:
    """The AUC counts; of equal ones, as many reach 1, the lower loss, since probabilities are to be trusted, too."""
    return validation_auc, -validation_loss


def best_epoch(epochs: Sequence[Epoch]) -> Epoch | None:
    """The epoch with the highest `merit`, the first one of equals; None before the first."""
    return max(epochs, key=lambda epoch: merit(epoch.validation_auc, epoch.validation_loss), default=None)
