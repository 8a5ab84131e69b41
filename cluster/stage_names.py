"""Names for what Spark does, a step of a job at a time: `survey 120 units of 32 slides` instead of `collect at …`."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

_DESCRIPTION: Final = "spark.job.description"
_GROUP: Final = "spark.jobGroup.id"


@dataclass(frozen=True)
class Stage:
    """A step of a job, from its beginning.

    Attributes:
        name: for people: a verb or noun first, e.g. `prepare 32 slides`.
        group: Spark's name for the jobs of the step; no other step has it.
    """

    name: str
    group: str

    @property
    def step(self) -> str:
        """The first word of the name: the same for this step of every wave."""
        return self.name.partition(" ")[0]


class StageListener(Protocol):
    """Is told of every step, on the thread that does it."""

    def began(self, stage: Stage) -> None:
        """Before the first job of the step."""

    def ended(self, stage: Stage, seconds: float) -> None:
        """After the last one, also when it failed; `seconds` by the clock."""


_listening: list[StageListener] = []


@contextmanager
def told_of_stages(listener: StageListener) -> Iterator[None]:
    """Tell `listener` of every step within the block."""
    _listening.append(listener)
    try:
        yield
    finally:
        _listening.remove(listener)


@contextmanager
def stage(spark: SparkSession, name: str) -> Iterator[None]:
    """Name the Spark jobs that this thread starts within the block: in Spark's UI, its event log and our progress.

    Args:
        spark: the session; what its jobs were called before, they are called again afterwards.
        name: see `Stage`.
    """
    context = spark.sparkContext
    this = Stage(name, f"histospark-{uuid.uuid4().hex}")
    before = {key: context.getLocalProperty(key) for key in (_DESCRIPTION, _GROUP)}
    context.setLocalProperty(_DESCRIPTION, name)
    context.setLocalProperty(_GROUP, this.group)
    for listener in tuple(_listening):
        listener.began(this)
    started = time.monotonic()
    try:
        yield
    finally:
        seconds = time.monotonic() - started
        with suppress(Py4JError, OSError, AttributeError):  # Spark has ended, which the block has told by now
            for key, value in before.items():
                context.setLocalProperty(key, value)  # type: ignore[arg-type]  # None takes it away
        for listener in tuple(_listening):
            listener.ended(this, seconds)
