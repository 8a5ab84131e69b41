"""`histospark train`: patch table to model, with its report, its card and its exported form."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import keras

from cluster.errors import JobError, UsageError
from cluster.lock import output_lock
from cluster.storage import Store
from preprocessing.hashing import stable_hash
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe, save_recipe
from preprocessing.training_settings import EveryRow
from training.card import ExportCard
from training.chosen_patches import middle
from training.completeness import check_complete
from training.epochs import Epoch
from training.export import Images, export_model, export_onnx
from training.find_rate import FIGURE_FILE, find_rate
from training.fit import MODEL_FILE, checkpoints_of, fit
from training.losses import class_weights
from training.models import core_model, training_model
from training.precision import plain_twin
from training.rate_range import FoundRate
from training.recipe_streams import split_stream, training_stream
from training.stages import check_stages
from training.strategy import mirrored
from training.table import PatchTable, check_recipe, check_trainable, open_table
from training.tracking import TrackedRun, TrackEpochs, start_tracking
from training.training_report import TrainingReport, report_training

log = logging.getLogger("histospark")


@dataclass(frozen=True)
class TrainingResult:
    """What a training left behind.

    Attributes:
        model: path of the best model, see `epochs.merit`.
        epochs: one entry per epoch.
        report: on that model.
    """

    model: Path
    epochs: tuple[Epoch, ...]
    report: TrainingReport


@click.command("train")
@click.option("--conf", required=True, help="Recipe (YAML); the one that cut the patches.")
@click.option("--patches", required=True, help="The --out of the tile job: a folder, hdfs:// or s3://.")
@click.option("--out", required=True, help="Folder for the model, its card and its report.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting of the recipe.")
@click.option(
    "--replicas", type=click.IntRange(min=0), default=0, help="Devices to share a batch; 0: all GPUs, or one CPU."
)
@click.option("--find-lr", is_flag=True, help="Train nothing; find a learning rate for the first stage.")
@click.option("--mlflow", envvar="MLFLOW_TRACKING_URI", metavar="URI", help="MLflow server to note the training on.")
def train(
    conf: str, patches: str, out: str, overrides: tuple[str, ...], replicas: int, find_lr: bool, mlflow: str | None
) -> None:
    """Train a model on a patch table."""
    recipe = load_recipe(conf, overrides)
    if find_lr:
        found = find_first_rate(recipe, patches, out, replicas)
        click.echo(f"{found.remedy}\nplot: {Path(out) / FIGURE_FILE}")
        return
    result = run_training(recipe, patches, out, replicas, mlflow)
    click.echo(result.report.table)
    click.echo(f"model: {result.model}\nreport: {result.report.page}")


def run_training(
    recipe: Recipe, patches_uri: str, out: str, replicas: int, tracking_uri: str | None = None
) -> TrainingResult:
    """Train by a recipe on the patches it cut; where a run in the same folder was killed, go on from there.

    Args:
        recipe: what to train, and how.
        patches_uri: the output of the tile job.
        out: local folder; it gets `model.keras`, its card `model.json`, its exported forms (`model.xml` with
            `.bin`, `model.onnx`), `recipe.yaml`, `checkpoints/`, `logs/`, and the report: `report.html`, `metrics.md`,
            `metrics.json`, `slides.csv` and figures.
        replicas: devices that share a batch; 0 takes all GPUs, or one CPU.
        tracking_uri: of an MLflow server, if the training shall be noted there.

    Raises:
        UsageError: something about the call, the recipe or the table is wrong; no epoch was started.
        JobError: training broke off.
    """
    table = trainable_table(recipe, patches_uri)
    folder = writable_folder(out)
    model_file = folder / MODEL_FILE
    lock = output_lock(Store(str(folder)), uuid.uuid4().hex, "histospark train")
    with lock, tracked(tracking_uri, recipe, folder) as run:
        epochs = train_core(recipe, table, folder, replicas, run)
        core = keras.saving.load_model(model_file, compile=False, safe_mode=True)
        exported = export_kept(core, folder, table, recipe)
        report = report_training(core, model_file, table, recipe, epochs, exported)
        if run:
            run.finish({split: asdict(of) for split, of in report.metrics.items()}, [report.page, report.card])
    return TrainingResult(model_file, tuple(epochs), report)


def trainable_table(recipe: Recipe, patches_uri: str) -> PatchTable:
    """Open a patch table, and make sure that the recipe can be trained on it.

    Raises:
        UsageError: it was cut by another recipe, cannot be trained on, or is incomplete.
    """
    table = open_table(patches_uri)
    check_recipe(table, recipe)
    check_trainable(table, len(recipe.classes))
    check_complete(table)
    return table


def train_core(
    recipe: Recipe, table: PatchTable, folder: Path, replicas: int, run: TrackedRun | None = None
) -> list[Epoch]:
    """Build the model and train it, or go on where an earlier run in the same folder ended.

    Raises:
        UsageError, JobError: as `run_training`.
    """
    training = recipe.training
    streams = training_stream(table, recipe), split_stream(table, "validation", recipe)
    checkpoints_of(*streams, training, folder).refuse_other()
    strategy = mirrored(replicas, training.batch_size, training.xla)
    keras.utils.set_random_seed(stable_hash("weights", recipe.seed) % 2**31)
    with strategy.scope():
        core = core_model(len(recipe.tiling.scales), recipe.tiling.window, training, len(recipe.classes))
        model = training_model(core, recipe)
    check_stages(core, training)
    save_recipe(recipe, str(folder))
    listeners = [TrackEpochs(run)] if run else []
    return fit(model, core, *streams, training, folder, plain_twin(core), callbacks=listeners)


def find_first_rate(recipe: Recipe, patches_uri: str, out: str, replicas: int) -> FoundRate:
    """Test learning rates for the first stage of a recipe; `out` gets the plot and its numbers.

    Raises:
        UsageError, JobError: as `run_training`.
    """
    stream = training_stream(trainable_table(recipe, patches_uri), recipe)
    folder = writable_folder(out)
    training = recipe.training
    weights = class_weights(training.class_weights, stream.rows_per_label(), len(recipe.classes))
    return find_rate(recipe, stream, folder, mirrored(replicas, training.batch_size, training.xla), weights)


def export_kept(core: keras.Model, folder: Path, table: PatchTable, recipe: Recipe) -> dict[str, ExportCard]:
    """Export the best model in all forms of the recipe.

    One that cannot be exported is still a model, and the log says why it was not.

    Returns:
        The forms that were kept, by their name in `training.exports`.
    """
    exporters = {"openvino": export_model, "onnx": export_onnx}
    kept: dict[str, ExportCard] = {}
    for name in recipe.training.exports:
        try:
            kept[name] = exporters[name](core, folder, _probe(table, recipe))
        except JobError as error:
            log.warning("%s", error)
    return kept


def _probe(table: PatchTable, recipe: Recipe) -> Iterator[Images]:
    """Patches of the validation split, as a core takes them: all slides mixed."""
    stream = replace(training_stream(table, recipe), split="validation", sampling=EveryRow())
    for images, _, _ in stream.dataset():
        yield {name: middle(pixels.numpy(), recipe.tiling.window) for name, pixels in images.items()}


@contextmanager
def tracked(uri: str | None, recipe: Recipe, folder: Path) -> Iterator[TrackedRun | None]:
    """A run on an MLflow server, closed as failed where the training breaks off; None where no server is named."""
    run = start_tracking(uri, recipe, folder) if uri else None
    try:
        yield run
    except BaseException:
        if run:
            run.failed()
        raise


def writable_folder(out: str) -> Path:
    """Make the output folder, before hours are spent on what it shall hold.

    Raises:
        UsageError: it cannot be made or written.
    """
    folder = Path(out.removeprefix("file://"))
    if "://" in str(out) and not out.startswith("file://"):
        raise UsageError(f"--out {out}: a model is written to a local folder; copy it from there")
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"--out {out} cannot be written ({error.strerror}): give another folder") from error
    return folder
