"""`histospark refresh`: do what is new in a folder of slides; what a scheduler calls every night."""

import sys
from functools import partial

import click

from cluster.entry import run_command
from cluster.errors import ExitCode
from cluster.session import session_for_yarn, spark_session
from inference.model_source import local_model, model_option
from inference.refreshing.one_refresh import Order, SteppedAsideError, refresh_once
from inference.refreshing.reported import command_line
from inference.refreshing.run_summary import RunSummary
from inference.refreshing.without_secrets import without_secrets
from preprocessing.options import slide_job_options
from preprocessing.recipe_file import load_recipe

_FIRST = 100  # slides that are named on the terminal


@click.command()
@slide_job_options
@model_option
@click.option(
    "--settle",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds in which the files of a new slide must not change.",
)
def refresh(
    conf: str,
    slides: str,
    model: str,
    out: str,
    overrides: tuple[str, ...],
    master: str | None,
    wave: int,
    settle: float,
) -> ExitCode:
    """Do what is new or changed in SLIDES since the last run, and write its summary into OUT.

    Exit codes: 0 all good, nothing new, or another job is at work; 1 the job failed; 2 wrong use; 3 some slides fail.
    """
    recipe = load_recipe(conf, overrides)
    try:
        with local_model(model) as file:
            order = Order(recipe, slides, file, out, command_line(), wave, settle)
            summary = refresh_once(order, partial(spark_session, "refresh", master))
    except SteppedAsideError as aside:
        click.echo(f"histospark: this refresh steps aside: {aside}")
        return ExitCode.GOOD
    tell_refresh(summary)
    return ExitCode(summary.exit_code)


def tell_refresh(summary: RunSummary) -> None:
    """Print how a refresh went: the slides to look after with their reason, then one line."""
    for failed in summary.failed[:_FIRST]:
        attempts = (
            f"{failed.attempts} attempts since {failed.since:%Y-%m-%d}" if failed.attempts > 1 else "first attempt"
        )
        click.echo(f"failed  {failed.slide_id}: {failed.error_type}: {failed.reason} ({attempts})", err=True)
    for waiting in summary.waiting[:_FIRST]:
        click.echo(f"waiting  {waiting.slide_id}: {waiting.reason}", err=True)
    gone = f", {summary.gone} gone (their results stay)" if summary.gone else ""
    failing = len({failed.slide_id for failed in summary.failed})
    click.echo(
        f"{len(summary.new)} new and {len(summary.changed)} changed slides; {len(summary.done)} done, "
        f"{len(summary.empty)} empty, {failing} failing, {len(summary.waiting)} waiting, {summary.skipped} done before"
        f"{gone}; look at {without_secrets(summary.out)}/report.html"
    )


if __name__ == "__main__":
    exit_code = run_command(refresh)
    if exit_code == ExitCode.GOOD:
        session_for_yarn()
    sys.exit(exit_code)
