"""A job without Spark and slides: the real batch, table, ledger and lock, with rows that are quickly made up.

Runs in processes of its own, which can be ended at any effect on the disk.
"""

import hashlib
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from cluster.storage import Store
from preprocessing import ledger
from preprocessing.batch import Batch, DoWave
from preprocessing.inventory import SlideEntry
from preprocessing.ledger import Outcome
from preprocessing.publish import SlideTable
from preprocessing.run_metrics import METRICS
from preprocessing.schema import label_folder, slide_folder
from preprocessing.shard_file import write_shard

COMPANIONS = ("pictures/{}.png", "scores/{}.parquet")
SLIDES = ("empty", "fine [1]", "torn")  # the last fails under every recipe but a
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.utime", "os.truncate", "shutil.rmtree")


def entries_of(names: Sequence[str], split: str = "train") -> list[SlideEntry]:
    return [SlideEntry(name, f"/{name}", patient_id=name, split=split, fingerprint=f"{name} {split}") for name in names]


def run_job(out: str, recipe_id: str, names: Sequence[str] = SLIDES, split: str = "train", wave: int = 2) -> None:
    batch, do_wave = job_of(out, recipe_id, wave)
    batch.run(entries_of(names, split), do_wave)


def job_of(out: str, recipe_id: str, wave: int = 2) -> tuple[Batch, DoWave]:
    """The parts of `run_job`."""
    table = SlideTable(Store(out), "patches", COMPANIONS)
    context = _NoSpark()
    batch = Batch(
        SimpleNamespace(sparkContext=context), "tile", table, recipe_id, wave,  # type: ignore[arg-type]
        before=partial(table.store.write_bytes, recipe_id.encode(), "recipe.yaml"),
    )  # fmt: skip
    return batch, partial(_do_wave, table=table, recipe_id=recipe_id)


def run_and_die(out: str, recipe_id: str, effect: int, split: str = "train") -> None:
    """As `run_job`, but the process ends right before its n-th effect on the disk, if it gets there."""
    left = effect

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        writes = (
            event == "open" and str(arguments[0]).startswith(out) and any(sign in str(arguments[1]) for sign in "wax")
        )
        if writes or (event in _CHANGES and str(arguments[0]).startswith(out)):
            left -= 1
            if left == 0:
                os._exit(77)

    sys.addaudithook(count)
    run_job(out, recipe_id, split=split)


def visible(out: Path) -> dict[str, str]:
    """Hash of every file but those of the ledger and of runs, whose names are drawn; hidden ones included."""
    drawn = (ledger.FOLDER, METRICS)
    files = (path for path in out.rglob("*") if path.is_file() and path.parent.name not in drawn)
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def settled(out: Path) -> dict[str, str]:
    """`visible`, after making sure that nothing is left that should be gone."""
    found = visible(out)
    assert not [name for name in found if "/_" in f"/{name}"]
    return found


def statuses(out: Path) -> dict[str, str]:
    """Latest status of each slide."""
    last = ledger.latest(Store(str(out)), "tile")
    return dict(zip(last["slide_id"], last["status"], strict=True))


def _do_wave(entries: Sequence[SlideEntry], table: SlideTable, recipe_id: str) -> list[Outcome]:
    return [_do_slide(entry, table, recipe_id) for entry in entries]


def _do_slide(entry: SlideEntry, table: SlideTable, recipe_id: str) -> Outcome:
    store, folder = Store(table.staging), slide_folder(entry.split, entry.slide_id)
    if entry.slide_id == "empty":
        return Outcome(entry, "empty")
    size = 0
    for label in (0, 1):
        rows = pa.table({"x": [1, 2, 3], "recipe_id": [recipe_id] * 3, "slide": [entry.fingerprint] * 3})
        size += write_shard([rows], rows.schema, store, f"{folder}/{label_folder(label)}/part-00000.parquet")
    if entry.slide_id == "torn" and recipe_id != "a":
        return Outcome(entry, "failed", error_type="SlideReadError", error="torn")
    for companion in COMPANIONS:
        store.write_bytes(f"{entry.slide_id} {recipe_id}".encode(), companion.format(entry.slide_id))
    table.publish(folder, entry.slide_id)
    return Outcome(entry, "done", patches=6, written_bytes=size)


class _NoSpark:
    """Stands where Spark tells its name and its progress."""

    applicationId = "no Spark"  # noqa: N815
    master = version = "none"
    _jsc = SimpleNamespace(sc=lambda: SimpleNamespace(isStopped=bool))

    def accumulator(self, value: int) -> SimpleNamespace:
        return SimpleNamespace(value=value)

    def statusTracker(self) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(getActiveStageIds=list)
