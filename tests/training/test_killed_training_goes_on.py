"""Killed wherever it hurts and started again, a training ends as if nothing had happened."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from tests.conftest import ROOT
from tests.training.killed_training import watched
from tests.training.tiny_table import SLIDES, tiny_recipe, write_table
from training.card import load_card
from training.checkpoint import CheckpointFolder
from training.epochs import Position
from training.job import train

ROWS, STEPS, EPOCHS = 93, 6, 4
STAGES = [
    {"epochs": 2, "trainable_from": "c2", "rate": {"kind": "constant", "value": 1e-3}},
    {"epochs": 2, "optimizer": {"name": "rmsprop"}, "rate": {"kind": "one_cycle", "peak": 1e-3}},
]
KILLED = {
    "first step": "going on in epoch 1 of 4",
    "within an epoch": "going on in epoch 1 of 4 after batch 4",
    "after validation": "going on in epoch 1 of 4 after batch 5",
    "before the model is saved": "going on in epoch 2 of 4",
    "first checkpoint of the second stage": "going on in epoch 3 of 4",
}
"""Where it is killed, one after the other, and how the run after that begins."""

Steps = list[tuple[int, list[str]]]


@dataclass(frozen=True)
class Run:
    """A training and what was seen of it: the folder, the noted steps of each process, and their first lines."""

    out: Path
    steps: list[Steps]
    printed: list[str]


def steps_of(notes: Path) -> Steps:
    return [(epoch, rows) for epoch, rows in map(json.loads, notes.read_text().splitlines())] if notes.exists() else []


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("killed")
    recipe = tiny_recipe(stages=STAGES, checkpoint_minutes=0, reader_workers=2, class_weights="balanced")
    table = write_table(folder / "run", recipe, {**SLIDES, ("test", "tumor_04"): {0: 9, 1: 8}})
    conf = folder / "recipe.yaml"
    conf.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    return ["--conf", str(conf), "--patches", table.uri]


@pytest.fixture(scope="module")
def undisturbed(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """In one go, with checkpoints after the epochs alone."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with watched("nowhere", folder / "notes"):
        more = ["--out", str(folder / "out"), "--set", "training.checkpoint_minutes=60"]
        said = CliRunner().invoke(train, [*arguments, *more], catch_exceptions=False)
    return Run(folder / "out", [steps_of(folder / "notes")], [said.output])


@pytest.fixture(scope="module")
def killed(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("chain")
    run = Run(folder / "out", [], [])
    for place in [*KILLED, "nowhere"]:
        notes = folder / f"notes of {place}"
        # The first run has the checkpoint from before its first step alone; this setting may change between runs.
        more = ["--set", "training.checkpoint_minutes=60"] if place == "first step" else []
        command = [sys.executable, "-m", "tests.training.killed_training", place, str(notes), *arguments, *more]
        done = subprocess.run([*command, "--out", str(run.out)], capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == (0 if place == "nowhere" else -signal.SIGKILL), (place, done.stderr[-3000:])
        run.steps.append(steps_of(notes))
        run.printed.append(done.stdout)
    return run


def test_each_run_tells_where_it_goes_on(killed: Run) -> None:
    for line, printed in zip(KILLED.values(), killed.printed[1:], strict=True):
        assert printed.splitlines()[0].startswith(f"{line} ({killed.out}/checkpoints/epochs_")
    assert not killed.printed[0].startswith("going on")


def test_rows_of_interrupted_epochs_are_seen_once(killed: Run, undisturbed: Run) -> None:
    """Steps after the last checkpoint are made again from it, with the same rows; no others are."""
    by_epoch: list[list[list[str]]] = [[] for _ in range(EPOCHS)]
    begun = [(0, 0), (0, 0), (0, 4), (0, 5), (1, 0), (2, 0)]
    for (epoch, batches), steps in zip(begun, killed.steps, strict=True):
        del by_epoch[epoch][batches:]
        for number, rows in steps:
            by_epoch[number].append(rows)
    for rows_of_steps in by_epoch:
        seen = [row for rows in rows_of_steps for row in rows]
        assert len(rows_of_steps) == STEPS
        assert len(seen) == len(set(seen)) == ROWS
    (once,) = undisturbed.steps
    assert [rows for rows_of_steps in by_epoch for rows in rows_of_steps] == [rows for _, rows in once]
    made = sum(map(len, killed.steps))
    assert made == EPOCHS * STEPS + 1 + 1 + 1  # again: the first step, the one that was validated, the stage's first


def test_weights_optimizer_and_history_end_as_undisturbed(killed: Run, undisturbed: Run) -> None:
    """To the last bit: on a CPU the same steps give the same numbers."""
    name = f"epochs_{EPOCHS:04d}_batches_{0:07d}.npz"
    ours, theirs = (np.load(run.out / "checkpoints" / name, allow_pickle=False) for run in (killed, undisturbed))
    arrays = [entry for entry in theirs.files if entry.startswith(("model/", "optimizer/"))]
    assert sorted(ours.files) == sorted(theirs.files)
    assert len(arrays) > 40
    for entry in arrays:
        np.testing.assert_array_equal(ours[entry], theirs[entry], entry)
    numbers = [
        [
            (epoch.number, epoch.stage, epoch.loss, epoch.auc, epoch.validation_loss, epoch.validation_auc)
            for epoch in position_of(run.out).epochs
        ]
        for run in (killed, undisturbed)
    ]
    assert numbers[0] == numbers[1]
    assert len(numbers[0]) == EPOCHS


def position_of(out: Path) -> Position:
    newest = CheckpointFolder(out / "checkpoints", {}).files()[-1]
    return Position.of(json.loads(np.load(newest)["position.json"])["position"])


def test_kept_model_report_and_card_are_those_of_the_undisturbed(killed: Run, undisturbed: Run) -> None:
    models = [keras.saving.load_model(run.out / "model.keras", compile=False) for run in (killed, undisturbed)]
    for ours, theirs in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    cards = [load_card(run.out / "model.keras") for run in (killed, undisturbed)]
    assert cards[0].metrics == cards[1].metrics
    assert (killed.out / "metrics.md").read_text() == (undisturbed.out / "metrics.md").read_text()
    last = killed.printed[-1].splitlines()[-2:]
    assert last == [f"model: {killed.out}/model.keras", f"report: {killed.out}/report.html"]


def test_nothing_is_left_of_the_dead(killed: Run) -> None:
    names = {path.name for path in killed.out.rglob("*")}
    assert not [name for name in names if name.startswith((".partial", "_lock"))]
    assert sorted(path.name for path in (killed.out / "checkpoints").iterdir()) == [
        "epochs_0003_batches_0000005.npz",
        "epochs_0004_batches_0000000.npz",
    ]


def test_finished_training_is_only_judged_again(undisturbed: Run, arguments: list[str], tmp_path: Path) -> None:
    before = keras.saving.load_model(undisturbed.out / "model.keras", compile=False).get_weights()
    with watched("nowhere", tmp_path / "notes"):
        said = CliRunner().invoke(train, [*arguments, "--out", str(undisturbed.out)], catch_exceptions=False)
    assert said.output.splitlines()[0].startswith("all 4 epochs are done already (")
    assert steps_of(tmp_path / "notes") == []
    kept = keras.saving.load_model(undisturbed.out / "model.keras", compile=False)
    for ours, theirs in zip(kept.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert load_card(undisturbed.out / "model.keras").metrics


def test_other_settings_do_not_go_on(undisturbed: Run, arguments: list[str], tmp_path: Path) -> None:
    more = ["--out", str(undisturbed.out), "--set", "training.batch_size=31", "--set", "training.shuffle_rows=7"]
    with watched("nowhere", tmp_path / "notes"):
        said = CliRunner().invoke(train, [*arguments, *more])
    assert str(said.exception) == (
        f"{undisturbed.out}/checkpoints holds the checkpoints of another training: training.batch_size (16 there, 31 "
        "here), training.shuffle_rows (32 there, 7 here); give another --out, or remove that folder to train anew"
    )
    assert "batch_size: 16\n" in (undisturbed.out / "recipe.yaml").read_text()
