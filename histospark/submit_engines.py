"""Which libraries the executors of a job need: what reads slides, and for inference the engines it may use."""

from collections.abc import Collection, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from cluster.closure import installed_closure
from cluster.code_archive import DISTRIBUTION
from cluster.submit import Target
from inference.engines.base import EngineName
from inference.engines.task_gpu import RESOURCE
from preprocessing.recipe import Recipe

_LIBRARIES: Final[dict[EngineName, str]] = {"openvino": "openvino", "onnx": "onnxruntime", "keras": "keras"}
_STORES: Final = {"hdfs": "hdfs-native", "s3": "s3fs"}  # extra: its driver; slides, manifests and tables may lie there
# One evaluates, which none of these jobs does; the other would report the use of OpenVINO.
_NEVER: Final = ("scikit-learn", "openvino-telemetry")


def engines_of(recipe: Recipe, model_files: Sequence[Path], target: Target) -> frozenset[EngineName]:
    """The engines that a job may settle on; none for a job without a model.

    Args:
        recipe: of the job.
        model_files: of its model, those of the forms that the recipe may use.
        target: where it runs; tasks with GPUs may choose Keras.
    """
    if not model_files:
        return frozenset()
    asked = recipe.inference.engine
    if asked != "auto":
        return frozenset({asked})
    has_openvino = any(file.suffix == ".xml" for file in model_files)
    exact = recipe.inference.precision == "bfloat16"  # OpenVINO's alone
    may_be_keras = not has_openvino or (asks_for_gpus(target) and not exact)
    names: list[EngineName] = ["openvino"] if has_openvino else []
    return frozenset(names + (["keras"] if may_be_keras else []))


def asks_for_gpus(target: Target) -> bool:
    """Whether Spark is told to give tasks GPUs, as far as can be seen here."""
    key = f"spark.task.resource.{RESOURCE}.amount"
    given = target.properties_file.read_text(encoding="utf-8").splitlines() if target.properties_file else []
    return any(line.strip().startswith(key) for line in (*given, *target.settings))


def environment_for(engines: Collection[EngineName]) -> list[Distribution]:
    """What is installed here that executors need.

    Args:
        engines: that may compute; none for tiling.

    Raises:
        UsageError: something of it is not installed.
    """
    roots, without = [DISTRIBUTION], list(_NEVER)
    roots += [f"{DISTRIBUTION}[{extra}]" for extra, driver in _STORES.items() if _is_installed(driver)]
    if engines:
        roots.append(f"{DISTRIBUTION}[infer]")
        without += [library for name, library in _LIBRARIES.items() if name not in engines]
    if "keras" in engines:
        roots.append(f"{DISTRIBUTION}[{'cpu' if _is_installed('tensorflow-cpu') else 'gpu'}]")
    return [each for each in installed_closure(roots, without) if each.name != DISTRIBUTION]


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
