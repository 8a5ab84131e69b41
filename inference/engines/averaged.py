"""Each window judged in several forms, and the mean of the answers: orientations, or variants."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from inference.engines.base import Engine, Images

Form = Callable[[Images], Images]
"""Turns or colors the windows of a batch, each alike, all scales alike; what it returns lies in memory as engines in C
take it."""


class Averaged:
    """An engine that judges each window in all of its forms and gives the mean; as many times the work.

    Args:
        engine: judges one form.
        forms: of a window.
    """

    def __init__(self, engine: Engine, forms: Sequence[Form]) -> None:
        self._engine = engine
        self._forms = forms

    def predict(self, batches: Iterable[Images]) -> NDArray[np.float32]:
        """See `Engine`. Memory: a batch once more, and 4 bytes a form of a patch."""
        counts: list[int] = []

        def formed() -> Iterator[Images]:
            for images in batches:
                counts.append(len(images[0]))
                yield from (form(images) for form in self._forms)

        answers = self._engine.predict(formed())
        of_batches = np.split(answers, len(self._forms) * np.cumsum(counts, dtype=np.int64)[:-1])
        means = [each.reshape(len(self._forms), -1).mean(axis=0, dtype=np.float64) for each in of_batches]
        return np.concatenate(means).astype(np.float32)
