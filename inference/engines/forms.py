"""The forms of a model that engines read, and sending one to the workers."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark import SparkFiles
from pyspark.sql import SparkSession

from cluster.errors import UsageError
from inference.engines.base import EngineName
from preprocessing.inference_settings import Inference
from training.card import ModelCard
from training.exported import files_hash, form_files

log = logging.getLogger("histospark")


@dataclass(frozen=True)
class ModelForms:
    """The files of a model, each form compared with the card; none of one that the model does not have.

    Attributes:
        model: the `.keras` file.
        openvino: the graph and its numbers.
        onnx: the graph.
        ordered: the classes of the model are grades.
    """

    model: Path
    openvino: tuple[Path, ...] = ()
    onnx: tuple[Path, ...] = ()
    ordered: bool = False

    def of(self, name: EngineName) -> tuple[Path, ...]:
        """The files that an engine reads.

        Raises:
            UsageError: they are missing.
        """
        files = {"keras": (self.model,), "openvino": self.openvino, "onnx": self.onnx}[name]
        if not files:
            raise UsageError(
                f"the engine {name} reads {_file_names(name)}, which {self.model} does not have beside it: train with "
                f"training.exports: [openvino, onnx], copy all files of the training, or take inference.engine auto"
            )
        return files

    def best_on_cpu(self) -> EngineName:
        """OpenVINO where the model has its exported form, else Keras, which the log tells."""
        if self.openvino:
            return "openvino"
        log.warning("%s is not beside %s: Keras computes, which is slower", _file_names("openvino"), self.model.name)
        return "keras"


def checked_forms(settings: Inference, model: Path, card: ModelCard) -> ModelForms:
    """Make sure that a model can be computed as a recipe asks, before anything is started.

    Args:
        settings: of the recipe.
        model: the `.keras` file.
        card: of the model.

    Returns:
        The forms that this recipe may use; those of other engines are not read.

    Raises:
        UsageError: the form of the model that the engine reads is missing or is not the model's, or the engine does not
            compute in the precision asked for.
    """
    name = settings.engine
    wants_bfloat16 = settings.precision == "bfloat16"
    if wants_bfloat16 and name not in ("auto", "openvino"):
        raise UsageError(
            f"inference.precision bfloat16 is OpenVINO's, and inference.engine is {name}: take engine openvino, or "
            "precision auto"
        )
    openvino = _form(card, "openvino", model) if name in ("auto", "openvino") else ()
    onnx = _form(card, "onnx", model) if name == "onnx" else ()
    forms = ModelForms(model, openvino, onnx, card.recipe.tiling.labels.ordered)
    if name != "auto":
        forms.of(name)
    elif wants_bfloat16:
        forms.of("openvino")
    return forms


def send(spark: SparkSession, files: Sequence[Path], model_id: str) -> str:
    """Send a model to the workers under a name of its own: Spark never replaces a file it has sent.

    Args:
        spark: the session; a copy of the files stays with it until it ends, for workers that join late.
        files: of one form of the model; they differ in their suffix.
        model_id: short hash of the model.

    Returns:
        The name of the first one for `SparkFiles.get`; the others lie beside it.
    """
    copies = [Path(SparkFiles.getRootDirectory()) / f"{model_id}{file.suffix}" for file in files]
    for file, copy in zip(files, copies, strict=True):
        if not copy.exists():
            shutil.copyfile(file, copy)
            spark.sparkContext.addFile(str(copy))
    return copies[0].name


def _form(card: ModelCard, name: EngineName, model: Path) -> tuple[Path, ...]:
    """The files of an exported form; none where the model has none or they are not beside it."""
    exported = card.exported if name == "openvino" else card.onnx
    if exported is None:
        return ()
    graph = model.with_name(exported.file)
    files = form_files(graph)
    if not all(file.is_file() for file in files):
        return ()
    if files_hash(graph) != exported.sha256:
        raise UsageError(
            f"{graph} is not the exported form that the card of {model.name} describes: copy all files of one "
            "training, or remove it, and take inference.engine auto"
        )
    return files


def _file_names(name: EngineName) -> str:
    return "model.xml with its .bin" if name == "openvino" else "model.onnx"
