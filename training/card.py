"""What a model is and where it comes from: `model.json` beside `model.keras`."""

import hashlib
import platform
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from cluster.errors import UsageError
from preprocessing.recipe import Recipe
from training.class_metrics import ClassMetrics
from training.epochs import Epoch
from training.metrics import BinaryMetrics
from training.table import PatchTable

_PACKAGES: Final = ("histospark", "keras", "tensorflow", "tensorflow-cpu", "numpy", "petastorm", "pyarrow")


class DataCard(BaseModel):
    """What a model was trained on.

    Attributes:
        patches: URI of the patch table's run.
        recipe_id: of the recipe that cut it.
        rows: patches by split and class.
        slides: patches by split and slide.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    patches: str
    recipe_id: str
    rows: dict[str, dict[str, int]]
    slides: dict[str, dict[str, int]]

    @classmethod
    def of(cls, table: PatchTable) -> Self:
        """Describe a patch table."""
        rows = {split: table.rows_per_label(split) for split in table.splits}
        return cls(
            patches=table.uri,
            recipe_id=table.recipe_id,
            rows={
                split: {"unlabeled" if label is None else str(label): count for label, count in counts.items()}
                for split, counts in rows.items()
            },
            slides={split: table.rows_per_slide(split) for split in table.splits},
        )


class ExportCard(BaseModel):
    """The exported form of a model, and how far it agrees with Keras.

    Attributes:
        file: name of the graph; OpenVINO's numbers lie beside it as `.bin`.
        sha256: of its files together, the graph first.
        patches: real patches on which both forms were compared.
        largest_difference: of a probability, over these patches.
        tolerance: the difference that was allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    sha256: str
    patches: int
    largest_difference: float
    tolerance: float


class ModelCard(BaseModel):
    """A model's origin and quality.

    Attributes:
        model_id: short SHA-256 of the model file, 12 hexadecimal digits.
        recipe: all settings, defaults included.
        data: what it was trained on.
        versions: of Python and the libraries that matter.
        metrics: by split, of a model of two classes.
        class_metrics: by split, of a model of more.
        epoch: the epoch whose weights it has, with its stage; None where it is not known.
        exported: its exported form for OpenVINO; None where it has none.
        onnx: the same for ONNX.
        created_at: with the time zone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model_id: str
    recipe: Recipe
    data: DataCard
    versions: dict[str, str]
    metrics: dict[str, BinaryMetrics] = {}
    class_metrics: dict[str, ClassMetrics] = {}
    epoch: Epoch | None = None
    exported: ExportCard | None = None
    onnx: ExportCard | None = None
    created_at: datetime

    @model_validator(mode="after")
    def _judged_as_two_classes_or_as_more(self) -> Self:
        if bool(self.metrics) == bool(self.class_metrics):
            raise ValueError("a card has either `metrics` (two classes) or `class_metrics` (more)")
        return self

    @property
    def threshold(self) -> float:
        """The threshold that was chosen on validation.

        Raises:
            UsageError: the model tells more than two classes apart, or was not judged on validation.
        """
        if "validation" not in self.metrics:
            raise UsageError(
                f"the model {self.model_id} has no threshold: its {len(self.recipe.classes)} classes are judged by "
                "the likeliest one; take a model of two classes"
            )
        return self.metrics["validation"].threshold

    def save(self, model: Path) -> Path:
        """Write the card beside a model file; returns the card's path."""
        path = card_path(model)
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return path


def load_card(model: Path) -> ModelCard:
    """Read the card of a model and check that it is this model's.

    Args:
        model: the `.keras` file.

    Raises:
        UsageError: the model or the card is missing, the card cannot be read, or it belongs to another file.
    """
    path = card_path(model)
    for file in (model, path):
        if not file.is_file():
            raise UsageError(
                f"there is no {file}: a model and its card stand side by side, as `histospark train` writes them"
            )
    card = parsed_card(path.read_bytes(), str(path))
    found = model_id(model)
    if card.model_id != found:
        raise UsageError(
            f"{path} describes the model {card.model_id}, but {model.name} is {found}: copy both from the same "
            "training, or train again"
        )
    return card


def parsed_card(data: bytes, place: str) -> ModelCard:
    """A card from its JSON.

    Args:
        data: of the file.
        place: where it lies, for people.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return ModelCard.model_validate_json(data)
    except ValidationError as error:
        raise UsageError(f"{place} is no model card of this HistoSpark: train again, or restore it") from error


def card_path(model: Path) -> Path:
    """Where the card of a model file lies."""
    return model.with_suffix(".json")


def model_id(model: Path) -> str:
    """Short SHA-256 of a model file."""
    with model.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide what a model computes; absent ones are left out."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
