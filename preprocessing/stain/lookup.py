"""A color transform as sums of tables: fast, and the same on every machine.

Both methods of normalization are chains of one step: each of three new channels is a sum of one function of each old
channel. A step is kept as three tables whose entries hold all three new channels as integers, side by side in 64 bits,
so that a pixel costs three look-ups and two additions. Integer sums do not depend on their order, the size of the image
or the processor, so that a pixel becomes the same color in whatever block it is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_FIELD: Final = 21  # bits of a channel within 64
_MASK: Final = (1 << _FIELD) - 1
CHUNK: Final = 1 << 14
"""Pixels worked on at once: what a processor's nearest caches hold."""


@dataclass(frozen=True, eq=False)
class Step:
    """From three channels to three others.

    Attributes:
        tables: one (n,) int64 per old channel, indexed by its value; the sum over the three holds the new channels.
        low, high: smallest and largest value, in integers, that each new channel can take.
    """

    tables: tuple[NDArray[np.int64], ...]
    low: tuple[int, ...]
    high: tuple[int, ...]


def step(parts: Sequence[NDArray[np.float64]], resolution: int) -> Step:
    """Make the tables of a step.

    The new channels are shifted so that each starts at 0; `low` tells by how much.

    Args:
        parts: one (n, 3) per old channel: what each of its values adds to the three new channels.
        resolution: integers per unit of the new channels.

    Raises:
        ValueError: the new channels need more than 21 bits.
    """
    whole = [np.rint(part * resolution).astype(np.int64) for part in parts]
    low = sum(part.min(axis=0) for part in whole)
    high = sum(part.max(axis=0) for part in whole)
    if (high - low).max() > _MASK:
        raise ValueError(f"a transform spans {(high - low).max()} steps, which is more than {_MASK}")
    shifts = np.arange(3) * _FIELD
    tables = tuple(((part - part.min(axis=0)) << shifts).sum(axis=1) for part in whole)
    return Step(tables, tuple(int(value) for value in low), tuple(int(value) for value in high))


@dataclass(frozen=True, eq=False)
class Transform:
    """A chain of steps, and the tables from the last one's channels to colors.

    Attributes:
        steps: the first takes colors.
        colors: one (n,) uint8 per channel.
    """

    steps: tuple[Step, ...]
    colors: tuple[NDArray[np.uint8], ...]

    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Transform every pixel by itself.

        Args:
            rgb: (h, w, 3) uint8.

        Returns:
            (h, w, 3) uint8. Memory: 3 bytes a pixel (6 where `rgb` is cut out of a larger array), and 1 MB.
        """
        flat = rgb.reshape(-1, 3)
        result = np.empty_like(flat)
        for start in range(0, len(flat), CHUNK):
            part = flat[start : start + CHUNK]
            channels = [part[:, channel].astype(np.intp) for channel in range(3)]
            for each in self.steps:
                channels = _stepped(channels, each)
            for channel, table in enumerate(self.colors):
                result[start : start + CHUNK, channel] = table.take(channels[channel], mode="clip")
        return result.reshape(rgb.shape)


def values(low: int, high: int, resolution: int) -> NDArray[np.float64]:
    """What the integers of a new channel stand for: (high - low + 1,), in the order of its shifted values."""
    return np.arange(low, high + 1, dtype=np.float64) / resolution


def _stepped(channels: list[NDArray[np.intp]], each: Step) -> list[NDArray[np.intp]]:
    packed = each.tables[0].take(channels[0], mode="clip")
    packed += each.tables[1].take(channels[1], mode="clip")
    packed += each.tables[2].take(channels[2], mode="clip")
    return [packed & _MASK, (packed >> _FIELD) & _MASK, packed >> (2 * _FIELD)]
