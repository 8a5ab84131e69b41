"""A training on an MLflow server, for labs that keep one: settings, epochs, metrics and the report.

The client is an extra (`pip install histospark[mlflow]`), and where no server is named nothing of it is imported.
Credentials come from MLflow's own environment variables and are written nowhere.
"""

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import keras

from cluster.errors import UsageError
from preprocessing.recipe import Recipe

RUN_FILE: Final = ".mlflow_run"
"""In the output folder: the id of its run, so that a training that broke off goes on in the same one."""

log = logging.getLogger("histospark")


@dataclass
class TrackedRun:
    """One run on a server. A server that is lost on the way costs its record, not the training.

    Attributes:
        client: an MlflowClient.
        run_id: of the run.
        lost: whether the server was lost, which is told once.
    """

    client: Any
    run_id: str
    lost: bool = field(default=False, init=False)

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Note what an epoch came to; epochs count from 1."""
        self._noted(values, step=number)

    def finish(self, metrics: Mapping[str, Mapping[str, Any]], files: Sequence[Path]) -> None:
        """Note the final metrics by split, as far as they are single numbers; hand over some files; close the run."""
        numbers = {
            f"report_{split}_{name}": value
            for split, of in metrics.items()
            for name, value in of.items()
            if isinstance(value, int | float)
        }
        self._noted(numbers, step=0)
        for file in files:
            self._tried(partial(self.client.log_artifact, self.run_id, str(file)))
        self._tried(partial(self.client.set_terminated, self.run_id, "FINISHED"))

    def failed(self) -> None:
        """Close the run as failed; started again, the training opens it anew."""
        self._tried(partial(self.client.set_terminated, self.run_id, "FAILED"))

    def _noted(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric  # noqa: PLC0415

        now = int(time.time() * 1000)
        entries = [Metric(name, float(value), now, step) for name, value in values.items()]
        self._tried(partial(self.client.log_batch, self.run_id, metrics=entries))

    def _tried(self, call: Callable[[], object]) -> None:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        if self.lost:
            return
        try:
            call()
        except (MlflowException, OSError) as error:
            self.lost = True
            log.warning("the MLflow server was lost (%s): the training goes on without it", _told(error))


class TrackEpochs(keras.callbacks.Callback):
    """Tells a run what each epoch came to, by Keras's own names.

    Args:
        run: open.
    """

    def __init__(self, run: TrackedRun) -> None:
        super().__init__()
        self.run = run

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Tell it."""
        self.run.epoch(epoch + 1, logs or {})


def start_tracking(uri: str, recipe: Recipe, folder: Path) -> TrackedRun:
    """Open a run, or the run that the folder's broken-off training had opened.

    Args:
        uri: of the tracking server, as in `MLFLOW_TRACKING_URI`.
        recipe: its name becomes the experiment, its settings the parameters.
        folder: the output of the training.

    Raises:
        UsageError: the client is not installed, or the server does not answer.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # its seven retries take minutes
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nobody was asked whether their use may be reported
    try:
        from mlflow import MlflowClient  # noqa: PLC0415  an optional extra
        from mlflow.exceptions import MlflowException  # noqa: PLC0415
    except ImportError as error:
        raise UsageError("--mlflow needs MLflow's client: pip install 'histospark[mlflow]'") from error
    try:
        client = MlflowClient(tracking_uri=uri)
        return TrackedRun(client, _opened(client, recipe, folder / RUN_FILE))
    except (MlflowException, OSError) as error:
        raise UsageError(
            f"--mlflow {_without_password(uri)} cannot be used ({_told(error)}): correct it, or leave it out"
        ) from error


def _opened(client: Any, recipe: Recipe, note: Path) -> str:
    if note.is_file():
        run_id = note.read_text(encoding="utf-8").strip()
        client.update_run(run_id, status="RUNNING")
        return run_id
    found = client.get_experiment_by_name(recipe.name)
    experiment = client.create_experiment(recipe.name) if found is None else found.experiment_id
    run_id = str(client.create_run(experiment, run_name=note.parent.name).info.run_id)
    for key, value in flattened(recipe.model_dump(mode="json")):
        client.log_param(run_id, key, value)
    client.set_tag(run_id, "recipe_id", recipe.recipe_id)
    note.write_text(run_id + "\n", encoding="utf-8")
    return run_id


def flattened(settings: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Settings as pairs of a dotted key, as on the command line, and a text."""
    if isinstance(settings, Mapping):
        entries = list(settings.items())
    elif isinstance(settings, list) and any(isinstance(entry, Mapping) for entry in settings):
        entries = list(enumerate(settings))
    else:
        yield key, str(settings)
        return
    for name, value in entries:
        yield from flattened(value, f"{key}.{name}" if key else str(name))


def _told(error: Exception) -> str:
    return _without_password(str(error).splitlines()[0])[:200]


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//", text)
