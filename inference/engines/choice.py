"""Which engine a worker loads. The only place that picks one by name."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from pyspark import SparkFiles

from inference.engines.averaged import Averaged
from inference.engines.base import Engine, EngineName, Precision, Reading, grade_share, tumor_probability
from inference.engines.keras_engine import KerasEngine
from inference.engines.mixed_precision import MixedPrecision
from inference.engines.onnx_engine import OnnxEngine
from inference.engines.openvino_engine import OpenVinoEngine
from inference.engines.orientations import ORIENTATIONS
from inference.engines.variants import Variants


@dataclass(frozen=True)
class EngineSpec:
    """What a worker has to know to load its engine.

    Attributes:
        name: of the engine.
        file: the form of the model it reads, under the name by which it was sent to the workers.
        batch_size: patches per call of the model.
        orientations: 8 averages over the turns and mirrorings of a window, 4 over its mirrorings, 1 takes it as it is.
        variants: to average over instead, if any.
        ordered: the classes of the model are grades.
        precision: of the arithmetic; OpenVINO alone has a choice.
        doubt: of mixed precision, see `Agreement`.
    """

    name: EngineName
    file: str
    batch_size: int
    orientations: int = 1
    variants: Variants | None = None
    ordered: bool = False
    precision: Precision = "float32"
    doubt: float = 0.0

    @property
    def label(self) -> str:
        """For people: `openvino float32`, `openvino bfloat16`, `openvino mixed`, `onnx` or `keras`."""
        return f"{self.name} {self.precision}" if self.name == "openvino" else self.name

    @property
    def read(self) -> Reading:
        """What an answer of the model comes to."""
        return grade_share if self.ordered else tumor_probability

    def once(self) -> "EngineSpec":
        """The same for windows as they are."""
        return replace(self, orientations=1, variants=None)

    def in_precision(self, precision: Precision, doubt: float = 0.0) -> "EngineSpec":
        """The same in another precision."""
        return replace(self, precision=precision, doubt=doubt)


_openvino_in = lru_cache(maxsize=2)(OpenVinoEngine)  # those of the probe are those of the run, with mixed precision


def _openvino(path: str, spec: EngineSpec) -> Engine:
    if spec.precision != "mixed":
        return _openvino_in(path, spec.batch_size, spec.precision, spec.read)
    quick, exact = (_openvino_in(path, spec.batch_size, it, spec.read) for it in ("bfloat16", "float32"))
    return MixedPrecision(quick, exact, spec.doubt, spec.batch_size)


_ENGINES: Final[dict[EngineName, Callable[[str, EngineSpec], Engine]]] = {
    "openvino": _openvino,
    "onnx": lambda path, spec: OnnxEngine(path, spec.batch_size, spec.read),
    "keras": lambda path, spec: KerasEngine(path, spec.batch_size, spec.read),
}


@lru_cache(maxsize=1)
def engine(spec: EngineSpec) -> Engine:
    """The engine of this worker process; the model is read at the first call, and one is kept in memory."""
    one = loaded(spec, SparkFiles.get(spec.file))
    _openvino_in.cache_clear()  # what the probe compared and the run does not take
    return one


def loaded(spec: EngineSpec, path: str) -> Engine:
    """An engine, of models that were just loaded where there are such.

    Args:
        spec: which one.
        path: of its form of the model.
    """
    one = _ENGINES[spec.name](path, spec)
    forms = ORIENTATIONS[spec.orientations] if spec.variants is None else spec.variants.forms()
    return Averaged(one, forms) if len(forms) > 1 else one
