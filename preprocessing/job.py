"""The tiling job: slides in, patch table out. Runs as `histospark tile` and as `spark-submit preprocessing/job.py`."""

import sys
from collections.abc import Sequence
from functools import partial

import click
from pyspark.sql import SparkSession

from cluster.entry import run_command
from cluster.errors import ExitCode
from cluster.lock import refuse_locked
from cluster.session import spark_session
from cluster.storage import Store
from preprocessing.batch import Batch, BatchSummary
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.ledger import latest
from preprocessing.options import slide_job_options, tell
from preprocessing.publish import SlideTable
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe, save_recipe
from preprocessing.schema import check_table_version
from preprocessing.slide_plan import TISSUE_MASK
from preprocessing.split_summary import splits_for_people, summarize_splits
from preprocessing.tile_wave import tile_wave


def run_tiling(
    spark: SparkSession, recipe: Recipe, entries: Sequence[SlideEntry], out: str, wave: int = 32
) -> BatchSummary:
    """Tile all slides of a source that are not yet in the table.

    Args:
        spark: the session.
        recipe: what to cut.
        entries: of the inventory.
        out: URI of the output folder.
        wave: slides worked on together.

    Returns:
        What was done; `out` holds `patches/`, the ledger `slides/` and `recipe.yaml`.

    Raises:
        UsageError: a table that this version cannot add to, another job that works on it, or a window larger than
            every slide.
    """
    companions = (TISSUE_MASK,) if recipe.tiling.tissue.needs_thumbnail else ()
    table = SlideTable(Store(out), "patches", companions)
    check_table_version(table.store)
    batch = Batch(spark, "tile", table, recipe.recipe_id, wave, before=partial(save_recipe, recipe, out))
    return batch.run(entries, partial(tile_wave, spark, recipe=recipe, table=table))


@click.command()
@slide_job_options
def tile(conf: str, slides: str, out: str, overrides: tuple[str, ...], master: str | None, wave: int) -> ExitCode:
    """Cut slides into the patch table OUT/patches."""
    recipe = load_recipe(conf, overrides)
    entries = inventory(slides, recipe.tiling, recipe.seed)  # wrong use is answered before Spark starts
    refuse_locked(Store(out))
    with spark_session("tile", master) as spark:
        summary = run_tiling(spark, recipe, entries, out, wave)
    click.echo(splits_for_people(summarize_splits(latest(Store(out), "tile"))))
    tell(summary, f"{summary.patches} patches, {summary.positives} positive, in {out}/patches")
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(run_command(tile))
