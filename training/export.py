"""The exported form of a model: OpenVINO IR, which inference on CPUs reads without TensorFlow.

IR is two files, an XML graph of known operations and a file of numbers: reading them runs no code.
"""

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from cluster.errors import JobError
from training.card import ExportCard
from training.exported import compiled, files_hash, quiet_openvino, reports

TOLERANCE: Final = 1e-3
"""Largest difference of a probability that is still called agreement."""
PROBE_PATCHES: Final = 256

Images = Mapping[str, NDArray[Any]]


def export_model(model: keras.Model, folder: Path, probe: Iterable[Images]) -> ExportCard:
    """Write `model.xml` and `model.bin`, after comparing them with Keras on real patches.

    Args:
        model: a core model.
        folder: where the files shall lie; it gets them only if they agree.
        probe: batches of patches by input name; about `PROBE_PATCHES` of them are judged by both.

    Raises:
        JobError: the two forms differ by more than `TOLERANCE`, or the converter would report its use.
    """
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as made:
        graph = Path(made) / "model.xml"
        quiet_openvino()
        if reports():
            raise JobError("OpenVINO was loaded before, and would report the export: export in a fresh process")
        model.export(str(graph), format="openvino", verbose=False)
        patches, difference = _compared(model, compiled(graph), probe)
        if not difference <= TOLERANCE:  # no number is no agreement, either
            raise JobError(
                f"the exported model differs from Keras by {difference:.2g} (allowed: {TOLERANCE:g}) and was not kept: "
                "infer with the Keras model, and report the recipe's backbone"
            )
        for file in (graph.with_suffix(".bin"), graph):  # the graph last: whoever sees it finds its numbers
            os.replace(file, folder / file.name)
    graph = folder / graph.name
    return ExportCard(
        file=graph.name,
        sha256=files_hash(graph),
        patches=patches,
        largest_difference=difference,
        tolerance=TOLERANCE,
    )


def _compared(model: keras.Model, exported: Any, probe: Iterable[Images]) -> tuple[int, float]:
    patches, largest = 0, 0.0
    for images in probe:
        arrays = {name: np.asarray(values, np.float32) for name, values in images.items()}
        expected = np.asarray(model.predict_on_batch(arrays))
        found = exported(arrays)[0]
        largest = float(np.maximum(largest, np.abs(expected - found).max()))  # NumPy's maximum keeps "no number"
        patches += len(expected)
        if patches >= PROBE_PATCHES:
            break
    return patches, largest
