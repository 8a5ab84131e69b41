"""The import job: a published collection of patches in, patch table out.

Runs as `histospark import` and as `spark-submit preprocessing/importing/job.py`.
"""

import hashlib
import json
import logging
import sys
from functools import partial

import click
import pandas as pd
from pyspark.sql import SparkSession

from cluster.entry import run_command
from cluster.errors import ExitCode, UsageError
from cluster.lock import refuse_locked
from cluster.session import spark_session
from cluster.storage import Store
from preprocessing.batch import Batch, BatchSummary
from preprocessing.file_states import FileStates
from preprocessing.importing.collection import Collection, open_collection
from preprocessing.importing.duplicates import Duplicates
from preprocessing.importing.import_wave import import_wave
from preprocessing.inventory import refuse_ambiguous
from preprocessing.ledger import latest
from preprocessing.options import tell
from preprocessing.publish import SlideTable
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe, save_recipe
from preprocessing.schema import check_table_version
from preprocessing.slide_entry import SlideEntry
from preprocessing.split_summary import splits_for_people, summarize_splits
from preprocessing.splits import assign_splits

DUPLICATES = "duplicates.csv"

log = logging.getLogger("histospark")


def run_import(spark: SparkSession, recipe: Recipe, collection: Collection, out: str) -> BatchSummary:
    """Bring all slides of a collection into the table that are not yet there.

    Args:
        spark: the session.
        recipe: how patches are stored; its splits are for collections that have none.
        collection: what to import.
        out: URI of the output folder.

    Returns:
        What was done; `out` holds `patches/`, the ledger `slides/`, `recipe.yaml` and, of the patches of the last run
        that imported any, `duplicates.csv`.

    Raises:
        UsageError: a table that this version cannot add to, or another job that works on it.
    """
    table = SlideTable(Store(out), "patches")
    check_table_version(table.store)
    slides = entries_of(collection, recipe)
    batch = Batch(spark, "tile", table, recipe.recipe_id, len(slides), before=partial(save_recipe, recipe, out))
    keep = partial(keep_duplicates, store=table.store)
    return batch.run(slides, partial(import_wave, spark, collection=collection, recipe=recipe, table=table, found=keep))


def entries_of(collection: Collection, recipe: Recipe) -> list[SlideEntry]:
    """The slides of a collection, each its own patient; where it has no splits, those of the recipe are drawn.

    Raises:
        UsageError: a slide stands in two splits, or its name cannot be a folder.
    """
    states = FileStates().states(collection.files)
    known = json.dumps([states[file] for file in collection.files])
    entries = []
    for slide_id, rows in collection.rows.groupby("slide_id"):
        split, *others = rows["split"].unique()
        if others:
            raise UsageError(f"slide {slide_id} of the collection stands in {split} and {others[0]}: fetch it anew")
        content = hashlib.sha256(f"{known}{split}{slide_id}".encode()).hexdigest()[:16]
        entries.append(
            SlideEntry(str(slide_id), rows["file"].iloc[0], patient_id=str(slide_id), split=split, fingerprint=content)
        )
    refuse_ambiguous(entries)
    return assign_splits(entries, recipe.tiling.splits, recipe.seed)


def keep_duplicates(table: pd.DataFrame, store: Store) -> None:
    """Write down what stands in a collection more than once, and tell it."""
    store.write_bytes(table.to_csv(index=False).encode(), DUPLICATES)
    found = Duplicates.of(table)
    if found.repeated:
        log.warning(
            "%d patches repeat another one; %d stand in two splits, %d have two labels: see %s",
            found.repeated, found.across_splits, found.contradictory, f"{store.uri}/{DUPLICATES}",
        )  # fmt: skip


@click.command("import")
@click.option("--conf", required=True, help="Recipe (see conf/).")
@click.option("--source", required=True, help="Folder of the collection (URI), e.g. PatchCamelyon's nine files.")
@click.option("--out", required=True, help="Output folder (URI).")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the recipe.")
@click.option("--master", default=None, help="Spark master; default: all local cores.")
def import_(conf: str, source: str, out: str, overrides: tuple[str, ...], master: str | None) -> ExitCode:
    """Bring patches that others have cut, as published, into the patch table OUT/patches."""
    recipe = load_recipe(conf, overrides)
    collection = open_collection(source)
    refuse_locked(Store(out))
    with spark_session("import", master) as spark:
        summary = run_import(spark, recipe, collection, out)
    if collection.note:
        click.echo(f"note: {collection.note}", err=True)
    click.echo(splits_for_people(summarize_splits(latest(Store(out), "tile"))))
    tell(summary, f"{summary.patches} patches, {summary.positives} positive, in {out}/patches")
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(run_command(import_))
