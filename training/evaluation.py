"""What a model says about a split, in plain arrays."""

import keras
import numpy as np
from numpy.typing import NDArray

from training.stream import SplitStream, original_errors


def split_predictions(model: keras.Model, stream: SplitStream) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Predict one pass over a split.

    Args:
        model: a core model.
        stream: the split; the rows that fill its last batch are left out.

    Returns:
        (n,) int32 labels and (n,) float32 probabilities, in the order of the stream.
    """
    labels, probabilities = [], []
    with original_errors(stream):
        for images, label, weight in stream.dataset():
            real = weight.numpy()[:, 0] > 0
            labels.append(label.numpy()[real, 0].astype(np.int32))
            probabilities.append(np.asarray(model.predict_on_batch(images))[real, 0])
    return np.concatenate(labels), np.concatenate(probabilities)
