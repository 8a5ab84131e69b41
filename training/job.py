"""`histospark train`: patch table to model, with its report and its card."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import keras

from cluster.errors import UsageError
from cluster.lock import output_lock
from cluster.storage import Store
from preprocessing.hashing import stable_hash
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe, save_recipe
from preprocessing.training_settings import EveryRow
from training.card import DataCard, ModelCard, installed_versions, model_id
from training.completeness import check_complete
from training.epochs import Epoch
from training.evaluation import split_predictions
from training.fit import MODEL_FILE, checkpoints_of, fit
from training.metrics import BinaryMetrics, choose_thresholds
from training.models import core_model, training_model
from training.precision import plain_twin
from training.report import Judged, judge_split, save_report
from training.stages import check_stages
from training.strategy import mirrored
from training.stream import Shuffle, SplitStream
from training.table import PatchTable, check_recipe, check_trainable, open_table


@dataclass(frozen=True)
class TrainingResult:
    """What a training left behind.

    Attributes:
        model: path of the best model by validation AUC.
        card: path of its card.
        epochs: one entry per epoch.
        metrics: of the best model, by split; the threshold was chosen on `validation`.
        table: the metrics as Markdown.
    """

    model: Path
    card: Path
    epochs: tuple[Epoch, ...]
    metrics: Mapping[str, BinaryMetrics]
    table: str


@click.command("train")
@click.option("--conf", required=True, help="Recipe (YAML); the one that cut the patches.")
@click.option("--patches", required=True, help="The --out of the tile job: a folder, hdfs:// or s3://.")
@click.option("--out", required=True, help="Folder for the model, its card and its report.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting of the recipe.")
@click.option(
    "--replicas", type=click.IntRange(min=0), default=0, help="Devices to share a batch; 0: all GPUs, or one CPU."
)
def train(conf: str, patches: str, out: str, overrides: tuple[str, ...], replicas: int) -> None:
    """Train a model on a patch table."""
    result = run_training(load_recipe(conf, overrides), patches, out, replicas)
    click.echo(result.table)
    click.echo(f"model: {result.model}")


def run_training(recipe: Recipe, patches_uri: str, out: str, replicas: int) -> TrainingResult:
    """Train by a recipe on the patches it cut; where a run in the same folder was killed, go on from there.

    Args:
        recipe: what to train, and how.
        patches_uri: the output of the tile job.
        out: local folder; it gets `model.keras`, `model.json`, `recipe.yaml`, `checkpoints/`, `logs/`, and the report:
            `metrics.md`, `metrics.json`, `slides.csv` and four figures.
        replicas: devices that share a batch; 0 takes all GPUs, or one CPU.

    Raises:
        UsageError: something about the call, the recipe or the table is wrong; no epoch was started.
        JobError: training broke off.
    """
    table = open_table(patches_uri)
    check_recipe(table, recipe)
    check_trainable(table, len(recipe.classes))
    check_complete(table)
    folder = writable_folder(out)
    with output_lock(Store(str(folder)), uuid.uuid4().hex, "histospark train"):
        epochs = train_core(recipe, table, folder, replicas)
        judged = evaluate(folder / MODEL_FILE, table, recipe)
        report = save_report(folder, f"Patches of {recipe.name}", judged)
        metrics = {split: entry.metrics for split, entry in judged.items()}
        card = describe(folder / MODEL_FILE, table, recipe, metrics).save(folder / MODEL_FILE)
    return TrainingResult(folder / MODEL_FILE, card, tuple(epochs), metrics, report)


def train_core(recipe: Recipe, table: PatchTable, folder: Path, replicas: int) -> list[Epoch]:
    """Build the model and train it, or go on where an earlier run in the same folder ended.

    Raises:
        UsageError, JobError: as `run_training`.
    """
    training, shuffle = recipe.training, Shuffle(recipe.seed, recipe.training.shuffle_rows)
    streams = _stream(table, "train", recipe, shuffle), _stream(table, "validation", recipe, None)
    checkpoints_of(*streams, training, folder).refuse_other()
    strategy = mirrored(replicas, training.batch_size, training.xla)
    keras.utils.set_random_seed(stable_hash("weights", recipe.seed) % 2**31)
    with strategy.scope():
        core = core_model(len(recipe.tiling.scales), recipe.tiling.window, training, len(recipe.classes))
        model = training_model(core, recipe)
    check_stages(core, training)
    save_recipe(recipe, str(folder))
    return fit(model, core, *streams, training, folder, plain_twin(core))


def evaluate(model_file: Path, table: PatchTable, recipe: Recipe) -> dict[str, Judged]:
    """Judge a saved model on `validation`, and on `test` where both classes are there.

    Both thresholds are chosen on `validation` for both splits, so that `test` stays unseen.
    """
    model = keras.saving.load_model(model_file, compile=False, safe_mode=True)
    patches = {"validation": split_predictions(model, _stream(table, "validation", recipe, None))}
    if {0, 1} <= table.rows_per_label("test").keys():
        patches["test"] = split_predictions(model, _stream(table, "test", recipe, None))
    seen = patches["validation"]
    thresholds = choose_thresholds(seen.labels, seen.probabilities, recipe.training.target_sensitivity)
    return {split: judge_split(scored, split, thresholds, recipe.seed) for split, scored in patches.items()}


def describe(model_file: Path, table: PatchTable, recipe: Recipe, metrics: Mapping[str, BinaryMetrics]) -> ModelCard:
    """The card of a model that was just trained."""
    return ModelCard(
        model_id=model_id(model_file),
        recipe=recipe,
        data=DataCard.of(table),
        versions=installed_versions(),
        metrics=dict(metrics),
        created_at=datetime.now(UTC),
    )


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


def _stream(table: PatchTable, split: str, recipe: Recipe, shuffle: Shuffle | None) -> SplitStream:
    """A split as it is trained on where there is a `shuffle`, else each of its rows in order."""
    training = recipe.training
    return SplitStream(
        table,
        split,
        recipe.tiling.stored_window,
        training.batch_size,
        training.reader_workers,
        shuffle=shuffle,
        sampling=EveryRow() if shuffle is None else training.sampling,
    )
