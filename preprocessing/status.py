"""`histospark status`: the ledger, for people."""

import click
import pandas as pd

from cluster.errors import ExitCode, UsageError
from cluster.storage import Store
from preprocessing import ledger


@click.command()
@click.argument("uri")
def status(uri: str) -> ExitCode:
    """Show how every slide of the output folder URI ended at its last attempt."""
    store = Store(uri)
    if not store.exists(ledger.FOLDER):
        raise UsageError(f"{uri} has no ledger; give the --out folder of a tile or infer job")
    failed = False
    for job in ("tile", "infer"):
        rows = ledger.latest(store, job)
        if not rows.empty:
            click.echo(f"{job}: {summarize(rows)}\n{rows_for_people(rows)}\n")
            failed |= bool((rows["status"] == "failed").any())
    return ExitCode.SOME_SLIDES_FAILED if failed else ExitCode.GOOD


def summarize(rows: pd.DataFrame) -> str:
    """Slides by status, and patches: one line."""
    counts = ", ".join(f"{count} {status}" for status, count in rows["status"].value_counts().items())
    return f"{len(rows)} slides ({counts}), {rows['patches'].sum()} patches, {rows['positives'].sum()} positive"


def rows_for_people(rows: pd.DataFrame) -> str:
    """One line a slide, the reason of a failure last."""
    table = rows[["slide_id", "split", "status", "patches", "positives", "seconds", "attempt"]].copy()
    table["seconds"] = table["seconds"].round(1)
    table["reason"] = rows["error"].fillna("")
    return table.to_string(index=False)
