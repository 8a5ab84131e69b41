"""The engine of a run: settled once, noted beside the results, and the same for every slide of them."""

import logging
from collections.abc import Sequence

from pyspark.sql import SparkSession

from cluster.errors import JobError
from cluster.storage import Store
from inference.engines.agreement import Agreement, agreement
from inference.engines.base import EngineName
from inference.engines.choice import EngineSpec
from inference.engines.forms import ModelForms, send
from inference.engines.note import EngineNote, Question, noted
from inference.engines.probe import Probe, probe_bfloat16
from inference.engines.task_gpu import RESOURCE, gpus_of_task
from inference.engines.variants import Variants
from preprocessing.recipe import Recipe
from preprocessing.slide_plan import SlidePlan

log = logging.getLogger("histospark")


class RunEngine:
    """Finds out what a run computes with: at its first wave that has tissue, unless an earlier run has noted it.

    To be asked only while the run has the lock on its folder.

    Args:
        spark: the session.
        recipe: from `prediction_recipe`.
        forms: of the model, from `checked_forms`.
        model_id: short hash of the model.
        store: the folder of the run.
    """

    def __init__(self, spark: SparkSession, recipe: Recipe, forms: ModelForms, model_id: str, store: Store) -> None:
        self._spark = spark
        self._recipe = recipe
        self._forms = forms
        self._model_id = model_id
        self._store = store
        self._asked = Question.of(recipe.inference, model_id)
        self._settled: EngineSpec | None = None

    def of_wave(self, plans: Sequence[SlidePlan], staging: str) -> EngineSpec:
        """The engine for some slides; its files have been sent to the workers.

        Args:
            plans: slides of a wave.
            staging: URI below which `prepare` left the tissue masks.

        Raises:
            UsageError: the engine's form of the model is missing.
            JobError: bfloat16 was asked for and does not agree, or the workers do not compute it.
        """
        if self._settled is not None:
            return self._settled
        note = noted(self._store, self._asked)
        if note is not None:
            spec = self._sent(note.engine).in_precision(note.precision, note.doubt)
            log.info("computing with %s, as this folder's engine.json says", spec.label)
            self._settled = spec
            return spec
        spec = self._sent(self._name())
        if spec.name != "openvino" or self._asked.precision == "float32":
            return self._settle(spec, Probe(), "")
        probe = probe_bfloat16(self._spark, plans, self._recipe, spec, staging)
        if probe.computes and probe.windows == 0:
            # Nothing to judge in this wave, so far as could be seen.
            return spec.in_precision("bfloat16" if self._asked.precision == "bfloat16" else "float32")
        found = agreed_precision(self._asked, probe)
        told = _told(probe, self._asked.tolerance, found)
        return self._settle(spec.in_precision(found.precision, found.doubt), probe, told)

    def used(self, spec: EngineSpec) -> None:
        """Slides were judged with what `of_wave` gave: then all are."""
        if self._settled is None:
            self._settle(spec, Probe(), "; no window was there to compare bfloat16 with float32")

    def _name(self) -> EngineName:
        if self._asked.engine != "auto":
            return self._recipe.inference.engine  # type: ignore[return-value]
        if self._asked.precision == "bfloat16":
            return "openvino"  # no other has it
        if self._tasks_have_gpus():
            return "keras"
        return self._forms.best_on_cpu()

    def _tasks_have_gpus(self) -> bool:
        """Asks a task: that GPUs are asked for does not say that this cluster gives any."""
        wanted = self._spark.sparkContext.getConf().get(f"spark.task.resource.{RESOURCE}.amount")
        if wanted is None:
            return False
        (found,) = self._spark.sparkContext.parallelize([0], 1).map(lambda _: gpus_of_task()).collect()
        return bool(found)

    def _sent(self, name: EngineName) -> EngineSpec:
        settings = self._recipe.inference
        file = send(self._spark, self._forms.of(name), self._model_id)
        variants = Variants.of(self._recipe) if settings.variants > 1 else None
        return EngineSpec(name, file, settings.batch_size, settings.orientations, variants, self._forms.ordered)

    def _settle(self, spec: EngineSpec, probe: Probe, why: str) -> EngineSpec:
        log.info("computing with %s%s", spec.label, why)
        EngineNote(
            asked=self._asked,
            engine=spec.name,
            precision=spec.precision,
            doubt=spec.doubt,
            windows=probe.windows,
            largest_difference=probe.largest_difference,
        ).save(self._store)
        self._settled = spec
        return spec


def agreed_precision(asked: Question, probe: Probe) -> Agreement:
    """What the recipe asks for, or what the probe allows where it leaves the choice.

    Raises:
        JobError: bfloat16 was asked for, and it is not so.
    """
    if asked.precision == "auto":
        if not probe.computes:
            return Agreement("float32")
        return agreement(probe.exact, probe.quick, probe.seen, asked.tolerance)
    if probe.computes and probe.largest_difference <= asked.tolerance:
        return Agreement("bfloat16")
    remedy = "take inference.precision auto or float32"
    if not probe.computes:
        raise JobError(f"inference.precision is bfloat16, which the workers' CPUs do not compute: {remedy}")
    raise JobError(
        f"bfloat16 differs from float32 by {probe.largest_difference:.2g} on {len(probe.exact)} windows, more than "
        f"inference.tolerance {asked.tolerance:g}: {remedy}"
    )


def _told(probe: Probe, tolerance: float, found: Agreement) -> str:
    if not probe.computes:
        return ": the workers' CPUs do not compute bfloat16"
    apart = (
        f": on {len(probe.exact)} of {probe.windows} windows bfloat16 differs from float32 by at most "
        f"{probe.largest_difference:.2g} (allowed: {tolerance:g})"
    )
    if found.precision == "mixed":
        doubtful = f"probabilities from {found.doubt:.3f} to {1 - found.doubt:.3f} ({found.share:.0%} of them)"
        return f"{apart}; {doubtful} are computed again in float32"
    return f"{apart}; {found.share:.0%} of them would be in doubt" if found.share else apart
