"""The exported forms of a model, which inference on CPUs reads without TensorFlow: OpenVINO IR, and ONNX.

Both are graphs of known operations with their numbers: reading them runs no code.
"""

import importlib.util
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from cluster.errors import JobError
from training.card import ExportCard
from training.exported import compiled, files_hash, form_files, onnx_session, quiet_openvino, reports

TOLERANCE: Final = 1e-3
"""Largest difference of a probability that is still called agreement."""
PROBE_PATCHES: Final = 256

Images = Mapping[str, NDArray[Any]]
_Answer = Callable[[dict[str, NDArray[Any]]], NDArray[np.float32]]


def export_model(model: keras.Model, folder: Path, probe: Iterable[Images]) -> ExportCard:
    """Write `model.xml` and `model.bin` for OpenVINO, after comparing them with Keras on real patches.

    Args:
        model: a core model.
        folder: where the files shall lie; it gets them only if they agree.
        probe: batches of patches by input name; about `PROBE_PATCHES` of them are judged by both.

    Raises:
        JobError: the two forms differ by more than `TOLERANCE`, or the converter would report its use.
    """

    def write(graph: Path) -> _Answer:
        quiet_openvino()
        if reports():
            raise JobError("OpenVINO was loaded before, and would report the export: export in a fresh process")
        model.export(str(graph), format="openvino", verbose=False)
        exported = compiled(graph)
        return lambda images: np.asarray(exported(images)[0])

    return _kept_if_equal(model, folder / "model.xml", write, probe)


def export_onnx(model: keras.Model, folder: Path, probe: Iterable[Images]) -> ExportCard:
    """Write `model.onnx`, after comparing it with Keras on real patches.

    Args:
        model, folder, probe: as for `export_model`.

    Raises:
        JobError: the two forms differ by more than `TOLERANCE`, or the packages for it are not installed.
    """
    missing = [name for name in ("tf2onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise JobError(f"no ONNX form was written: install {' and '.join(missing)} (pip install 'histospark[onnx]')")

    def write(graph: Path) -> _Answer:
        blank = {given.name: np.zeros((1, *given.shape[1:]), np.float32) for given in model.inputs}
        model.predict_on_batch(blank)  # Keras exports to ONNX only what was called before
        with _quiet_converter():
            model.export(str(graph), format="onnx", verbose=False)
        session = onnx_session(graph)
        return lambda images: np.asarray(session.run(None, images)[0])

    return _kept_if_equal(model, folder / "model.onnx", write, probe)


def _kept_if_equal(
    model: keras.Model, target: Path, write: Callable[[Path], _Answer], probe: Iterable[Images]
) -> ExportCard:
    """Write a form beside its place, compare it with the model, and move it there if they agree."""
    with tempfile.TemporaryDirectory(prefix=".export-", dir=target.parent) as made:
        graph = Path(made) / target.name
        patches, difference = _compared(model, write(graph), probe)
        if not difference <= TOLERANCE:  # no number is no agreement, either
            raise JobError(
                f"the exported model differs from Keras by {difference:.2g} (allowed: {TOLERANCE:g}) and was not kept: "
                "infer with the Keras model, and report the recipe's backbone"
            )
        for file in reversed(form_files(graph)):  # the graph last: whoever sees it finds its numbers
            os.replace(file, target.parent / file.name)
    return ExportCard(
        file=target.name,
        sha256=files_hash(target),
        patches=patches,
        largest_difference=difference,
        tolerance=TOLERANCE,
    )


def _compared(model: keras.Model, exported: _Answer, probe: Iterable[Images]) -> tuple[int, float]:
    patches, largest = 0, 0.0
    for images in probe:
        arrays = {name: np.asarray(values, np.float32) for name, values in images.items()}
        expected = np.asarray(model.predict_on_batch(arrays))
        found = exported(arrays)
        largest = float(np.maximum(largest, np.abs(expected - found).max()))  # NumPy's maximum keeps "no number"
        patches += len(expected)
        if patches >= PROBE_PATCHES:
            break
    return patches, largest


@contextmanager
def _quiet_converter() -> Iterator[None]:
    """Without the hundreds of lines that tf2onnx logs, and NumPy's warning of a name that it asks for."""
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tensorflow")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
