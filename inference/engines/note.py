"""`engine.json`: what a run computes with, noted beside its results, so that later runs into them do the same."""

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from cluster.errors import UsageError
from cluster.storage import Store
from inference.engines.base import EngineName, Precision
from preprocessing.inference_settings import Inference

FILE: Final = "engine.json"


class Question(BaseModel):
    """What the choice of an engine depends on: a note holds for the same question only.

    Attributes:
        model_id: of the model.
        engine, precision, tolerance, orientations, variants: as the recipe says.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model_id: str
    engine: str
    precision: str
    tolerance: float
    orientations: int
    variants: int = 1

    @classmethod
    def of(cls, settings: Inference, model_id: str) -> Self:
        """What a recipe asks for a model."""
        return cls(
            model_id=model_id,
            engine=settings.engine,
            precision=settings.precision,
            tolerance=settings.tolerance,
            orientations=settings.orientations,
            variants=settings.variants,
        )


class EngineNote(BaseModel):
    """What a run computes with, and why.

    Attributes:
        asked: the question that was answered.
        engine: that computes.
        precision: of its arithmetic.
        doubt: of mixed precision, see `Agreement`.
        windows: of the probe, a quarter of which were compared in bfloat16 and float32; 0 where there was none.
        largest_difference: of a probability, over those compared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: Question
    engine: EngineName
    precision: Precision
    doubt: float = 0.0
    windows: int = 0
    largest_difference: float = 0.0

    def save(self, store: Store) -> None:
        """Write it into the folder of the run."""
        store.write_bytes((self.model_dump_json(indent=2) + "\n").encode(), FILE)


def noted(store: Store, asked: Question) -> EngineNote | None:
    """What earlier runs into a folder computed with; None where there was none that asked the same.

    Raises:
        UsageError: the note cannot be read.
    """
    if not store.exists(FILE):
        return None
    try:
        note = EngineNote.model_validate_json(store.read_bytes(FILE))
    except ValidationError as error:
        raise UsageError(
            f"{store.uri}/{FILE} is no note of this HistoSpark: restore it, or choose another folder"
        ) from error
    return note if note.asked == asked else None
