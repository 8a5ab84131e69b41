"""What an engine is: something that turns windows into probabilities, a batch at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Images = Sequence[NDArray[np.uint8]]
"""Per scale, finest first, (n, window, window, 3) uint8 RGB."""


Reading = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""What a model's answers, (n, 1) or (n, classes), come to: (n,) from 0 to 1."""

EngineName = Literal["openvino", "onnx", "keras"]
Precision = Literal["float32", "bfloat16", "mixed"]


class Engine(Protocol):
    """Turns windows into probabilities."""

    def predict(self, batches: Iterable[Images]) -> NDArray[np.float32]:
        """Judge patches, batch by batch.

        Args:
            batches: of any sizes; each may be overwritten once the next one is asked for.

        Returns:
            (n,) float32 of all patches in their order: the probability of tumor; of a model of several classes, that
            of any class but label 0; of one whose classes are grades, the expected grade as a share of the highest.
        """


def in_calls(batches: Iterable[Images], size: int) -> Iterator[dict[str, NDArray[np.uint8]]]:
    """Cut batches into calls of at most `size` patches, each scale under the name of the model's input."""
    for images in batches:
        for start in range(0, len(images[0]), size):
            yield {f"scale_{k}": scale[start : start + size] for k, scale in enumerate(images)}


def regrouped(batches: Iterable[Images], size: int) -> Iterator[Images]:
    """Make full batches of small ones: `size` patches each, in their order; the last one has what is left.

    It holds what it was given until it yields it. Memory: two batches of `size`.
    """
    waiting: list[Images] = []
    for images in batches:
        waiting.append(images)
        while sum(len(some[0]) for some in waiting) >= size:
            joined = _joined(waiting)
            yield [scale[:size] for scale in joined]
            waiting = [[scale[size:] for scale in joined]]
    rest = _joined(waiting)
    if rest and len(rest[0]):
        yield rest


def _joined(parts: Sequence[Images]) -> Images:
    return [np.concatenate(of_scale) for of_scale in zip(*parts, strict=True)]


def in_order(answers: Iterable[NDArray[np.float32]], read: Reading) -> NDArray[np.float32]:
    """What a model answered to its calls, as it is read: (n,) float32, n may be 0."""
    return np.concatenate([np.zeros(0, np.float32), *map(read, answers)])


def tumor_probability(answers: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a model's answers say of tumor.

    Args:
        answers: (n, 1), the probability of label 1; or (n, classes), label 0 is normal.

    Returns:
        (n,) float32.
    """
    return answers[:, 0] if answers.shape[1] == 1 else 1 - answers[:, 0]


def grade_share(answers: NDArray[np.float32]) -> NDArray[np.float32]:
    """The expected grade as a share of the highest one, where classes are grades.

    Args:
        answers: (n, 1), the probability of the higher of two; or (n, classes), the lowest grade first.

    Returns:
        (n,) float32, 0 to 1.
    """
    highest = answers.shape[1] - 1
    if highest == 0:
        return answers[:, 0]
    return (answers.astype(np.float64) @ np.arange(highest + 1) / highest).astype(np.float32)
