"""What a model says about a split, in plain arrays."""

from dataclasses import replace

import keras
import numpy as np
from numpy.typing import NDArray

from cluster.errors import JobError
from preprocessing.training_settings import EveryRow
from training.chosen_patches import middle
from training.slide_level import ScoredPatches
from training.stream import SplitStream, original_errors
from training.table import PatchFile


def split_predictions(model: keras.Model, stream: SplitStream) -> ScoredPatches:
    """Predict one pass over a split.

    It is read by one thread without mixing, whatever the stream says: only then do rows come in the order of the
    files, whose paths tell the slide of each row.

    Args:
        model: a core model, of two classes or of more; it sees the middle of patches that are stored with a margin.
        stream: the split; the rows that fill its last batch are left out, how it mixes and draws does not count.

    Returns:
        The labeled patches of the split, in the order of the files.

    Raises:
        JobError: reading broke off, the rows did not come in the order of the files, or the model answers no number.
    """
    ordered = replace(stream, shuffle=None, sampling=EveryRow(), reader_workers=1, epoch=0, first_batch=0)
    labels, probabilities = [], []
    with original_errors(ordered):
        for stored, label, weight in ordered.dataset():
            real = weight.numpy()[:, 0] > 0
            images = {name: middle(pixels, model.input[name].shape[1]) for name, pixels in stored.items()}
            labels.append(label.numpy()[real, 0].astype(np.int32))
            probabilities.append(np.asarray(model.predict_on_batch(images), np.float32)[real])
    answers = np.concatenate(probabilities)
    wrong = int((~np.isfinite(answers)).any(axis=1).sum())
    if wrong:
        raise JobError(
            f"the model answers {wrong} of {len(answers)} patches of the split {stream.split} with no number: its "
            "weights have overflowed; train again with a lower rate"
        )
    return in_file_order(ordered.table.labeled(ordered.split), np.concatenate(labels), by_task(answers))


def by_task(answers: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a model answers, (n, 1) or (n, K), as it is judged: (n,) or (n, K)."""
    return answers[:, 0] if answers.shape[1] == 1 else answers


def in_file_order(
    files: list[PatchFile], labels: NDArray[np.int32], probabilities: NDArray[np.float32]
) -> ScoredPatches:
    """Put the slide beside each row, and check that the rows are those of the files.

    Args:
        files: in the order in which they were read; all have a label.
        labels: (n,) int32 as they came.
        probabilities: (n,) or (n, K) float32.

    Raises:
        JobError: another number of rows came, or a row has another label than the file at its place.
    """
    rows = [file.rows for file in files]
    promised = np.repeat([file.partition.label for file in files], rows).astype(np.int32)
    if not np.array_equal(promised, labels):
        raise JobError(
            "the rows of the table did not come in the order of its files, so their slides are unknown: the table "
            "changed while it was read; evaluate again"
        )
    slide_ids = np.repeat(np.array([file.partition.slide_id for file in files], np.str_), rows)
    return ScoredPatches(slide_ids, labels, probabilities)
