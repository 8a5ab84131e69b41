"""In which order and in which batches rows reach the trainer: plain NumPy, a function of the seed alone.

A chunk is a dictionary of columns of equal length, for example one row group.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocessing.hashing import stable_hash

Chunk = dict[str, NDArray[Any]]

WEIGHT = "weight"


def epoch_seed(seed: int, epoch: int) -> int:
    """Seed of one epoch: 1 to 2**31 - 1 (petastorm takes 0 for "no seed")."""
    return 1 + stable_hash("epoch", seed, epoch) % (2**31 - 1)


def shuffled(chunks: Iterable[Chunk], capacity: int, seed: int) -> Iterator[Chunk]:
    """Mix rows beyond their row group; every row comes exactly once.

    Args:
        chunks: rows as they are read.
        capacity: rows held back to mix with; at most one chunk more is in memory.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    held: Chunk | None = None
    for chunk in chunks:
        held = chunk if held is None else {name: np.concatenate([held[name], chunk[name]]) for name in chunk}
        surplus = length(held) - capacity
        if surplus > 0:
            order = rng.permutation(length(held))
            yield take(held, order[:surplus])
            held = take(held, order[surplus:])
    if held is not None and length(held):
        yield take(held, rng.permutation(length(held)))


def filled_batches(chunks: Iterable[Chunk], size: int) -> Iterator[Chunk]:
    """Cut rows into batches of one fixed size, with the column `weight`.

    A real row weighs 1. The last batch is filled up by repeating its own rows with weight 0: with a smaller
    batch one replica could get no row at all, and its batch norm would become NaN.

    Args:
        chunks: rows in their final order.
        size: rows per batch.

    Yields:
        Chunks of `size` rows; `weight` is (size,) float32.
    """
    held: Chunk | None = None
    for chunk in chunks:
        held = chunk if held is None else {name: np.concatenate([held[name], chunk[name]]) for name in chunk}
        whole = length(held) // size * size
        for start in range(0, whole, size):
            batch = take(held, np.arange(start, start + size))
            yield {**batch, WEIGHT: np.ones(size, np.float32)}
        held = take(held, np.arange(whole, length(held)))
    if held is not None and length(held):
        rows = length(held)
        places = np.arange(size)
        yield {**take(held, places % rows), WEIGHT: (places < rows).astype(np.float32)}


def length(chunk: Chunk) -> int:
    """Rows of a chunk."""
    return len(next(iter(chunk.values())))


def take(chunk: Chunk, places: NDArray[np.int64]) -> Chunk:
    """The rows at some places, in that order."""
    return {name: column[places] for name, column in chunk.items()}
