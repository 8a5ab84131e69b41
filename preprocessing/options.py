"""What the jobs over slides share on the command line: their options, and the lines at the end."""

from collections.abc import Callable
from typing import Any

import click

from preprocessing.batch import BatchSummary


def slide_job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every job over slides: recipe, slides, output, overrides, master, wave."""
    options = [
        click.option("--conf", required=True, help="Recipe (see conf/)."),
        click.option("--slides", required=True, help="Folder, glob, slide, or manifest (CSV, Parquet)."),
        click.option("--out", required=True, help="Output folder (URI)."),
        click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the recipe."),
        click.option("--master", default=None, help="Spark master; default: all local cores."),
        click.option("--wave", default=32, show_default=True, type=click.IntRange(1), help="Slides worked on at once."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def tell(summary: BatchSummary, results: str) -> None:
    """Print how a job over slides went: the failed slides with their reason, then one line.

    Args:
        summary: of the job.
        results: what came out and where, the end of that line.
    """
    for fault in summary.faults:
        click.echo(f"failed  {fault}", err=True)
    click.echo(
        f"{summary.done} slides done, {summary.empty} empty, {summary.failed} failed, {summary.skipped} done before; "
        f"{results}"
    )
