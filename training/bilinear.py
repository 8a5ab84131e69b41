"""Patches scaled inside a model, by two products with a matrix.

Keras' own layer does the same, but OpenVINO folds what follows it wrongly (a convolution with batch norm comes out as
other numbers; seen with 2026.4), and a registered layer of our own would not load everywhere.
"""

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray


def scaled_to(pixels: Any, side: int) -> Any:
    """Scale square patches bilinearly: pixel centers on pixel centers, edges repeated.

    Args:
        pixels: (b, n, n, c) float32.
        side: wanted, pixels.

    Returns:
        (b, side, side, c) float32; `pixels` itself where they are of that side.
    """
    if pixels.shape[1] == side:
        return pixels
    weights = bilinear_weights(pixels.shape[1], side)
    rows = ops.einsum("yh,bhwc->bywc", weights, pixels)
    return ops.einsum("xw,bywc->byxc", weights, rows)


def bilinear_weights(given: int, wanted: int) -> NDArray[np.float32]:
    """(wanted, given): the share that each given pixel has of a wanted one."""
    place = np.clip((np.arange(wanted) + 0.5) * given / wanted - 0.5, 0, given - 1)
    left = np.floor(place).astype(np.int64)
    right, share = np.minimum(left + 1, given - 1), (place - left).astype(np.float32)
    weights = np.zeros((wanted, given), np.float32)
    np.add.at(weights, (np.arange(wanted), left), 1 - share)
    np.add.at(weights, (np.arange(wanted), right), share)
    return weights
