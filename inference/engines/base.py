"""What an engine is: something that turns windows into probabilities, a batch at a time."""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Images = Sequence[NDArray[np.uint8]]
"""Per scale, finest first, (n, window, window, 3) uint8 RGB."""


EngineName = Literal["openvino", "onnx", "keras"]
Precision = Literal["float32", "bfloat16", "mixed"]


class Engine(Protocol):
    """Turns windows into probabilities."""

    def predict(self, images: Images) -> NDArray[np.float32]:
        """Judge some patches.

        Args:
            images: per scale, finest first, (n, window, window, 3) uint8 RGB; n at least 1.

        Returns:
            (n,) float32, the probability of tumor; of a model of several classes, that of any class but normal.
        """


def in_batches(images: Images, size: int) -> Iterator[dict[str, NDArray[np.uint8]]]:
    """Cut patches into batches of at most `size`, each scale under the name of the model's input."""
    for start in range(0, len(images[0]), size):
        yield {f"scale_{k}": scale[start : start + size] for k, scale in enumerate(images)}


def tumor_probability(answers: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a model's answers say of tumor.

    Args:
        answers: (n, 1), the probability of label 1; or (n, classes), label 0 is normal.

    Returns:
        (n,) float32.
    """
    return answers[:, 0] if answers.shape[1] == 1 else 1 - answers[:, 0]
