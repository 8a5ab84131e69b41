"""`histospark status`: the ledger, for people and (`--json`) for machines."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import click
import pandas as pd
from rich.console import RenderableType
from rich.text import Text

from cluster.errors import ExitCode, UsageError
from cluster.progress import duration
from cluster.storage import Store
from cluster.terminal import indented, show, table, terminal
from cluster.words import counted
from preprocessing import ledger
from preprocessing.split_summary import COLUMNS, summarize_splits

_COLORS: Final = {"done": "green", "empty": "yellow", "failed": "red"}
_FIRST: Final = 50  # rows of a long list
_ROOMY: Final = 100  # columns of a terminal that has room for all of a slide's columns


@click.command()
@click.argument("uri")
@click.option("--failed", "only_failed", is_flag=True, help="Only the slides that failed.")
@click.option("--all", "every", is_flag=True, help=f"Every slide, not only the first {_FIRST}.")
@click.option("--json", "as_json", is_flag=True, help="For machines: totals and every slide as JSON.")
def status(uri: str, only_failed: bool, every: bool, as_json: bool) -> ExitCode:
    """Show how every slide of the output folder URI ended at its last attempt."""
    store = Store(uri)
    if not store.exists(ledger.FOLDER):
        raise UsageError(f"{uri} has no ledger; give the --out folder of a tile or infer job")
    jobs: tuple[ledger.Job, ...] = ("tile", "infer")
    attempts = {job: rows for job in jobs if not (rows := ledger.latest(store, job)).empty}
    if as_json:
        click.echo(json.dumps({job: for_machines(rows, only_failed) for job, rows in attempts.items()}, indent=1))
    else:
        console = terminal()
        for job, rows in attempts.items():
            show(page(job, rows, datetime.now(UTC), only_failed, every, console.width >= _ROOMY), console)
    failed = any((rows["status"] == "failed").any() for rows in attempts.values())
    return ExitCode.SOME_SLIDES_FAILED if failed else ExitCode.GOOD


def page(
    job: str, rows: pd.DataFrame, now: datetime, only_failed: bool = False, every: bool = False, roomy: bool = True
) -> Iterator[RenderableType]:
    """What a person wants to know of one job: totals, failures with their reason, splits, slides.

    Args:
        job: tile or infer.
        rows: of `ledger.latest`, at least one.
        now: to tell how long ago the last wave was.
        only_failed: leave out all that is not about failures.
        every: show long lists whole.
        roomy: show all columns.
    """
    most = len(rows) if every else _FIRST
    failures = rows[rows["status"] == "failed"]
    yield from _totals(job, rows, now)
    if not failures.empty:
        yield from _failures(failures, most)
    if not only_failed:
        yield from _empty(rows[rows["status"] == "empty"])
        if job == "tile":
            yield from _splits(rows)
        yield from _slides(rows.sort_values(["processed_at", "slide_id"], ascending=[False, True]), most, roomy)
    yield ""


def _totals(job: str, rows: pd.DataFrame, now: datetime) -> Iterator[RenderableType]:
    counts = rows["status"].value_counts()
    line = Text.assemble((job, "bold"), f": {counted(len(rows), 'slide')}")
    for index, (name, color) in enumerate((name, color) for name, color in _COLORS.items() if counts.get(name, 0)):
        line.append(" - " if index == 0 else ", ").append(f"{counts[name]:,} {name}", color)
    yield line
    what = "patches, {:,} positive" if job == "tile" else "windows judged, {:,} at or above the threshold"
    yield indented(f"{rows['patches'].sum():,} {what.format(int(rows['positives'].sum()))}")
    seconds, last = float(rows["seconds"].sum()), rows["processed_at"].max()
    rate = f", {rows['patches'].sum() / seconds:,.0f} patches/s per core" if rows["patches"].sum() else ""
    yield indented(f"{duration(seconds)} of work on the slides, all cores together{rate}")
    ago = duration(max(0.0, (now - last).total_seconds()))
    recipes = sorted(rows["recipe_id"].dropna().unique())
    by = f"recipe {recipes[0]}" if len(recipes) == 1 else f"{len(recipes)} recipes: {', '.join(recipes[:5])}"
    yield indented(f"last wave ended {last:%Y-%m-%d %H:%M} UTC, {ago} ago; {by}")
    yield from _readers(rows)


def _readers(rows: pd.DataFrame) -> Iterator[RenderableType]:
    known = rows[rows["reader"].notna()]
    if known.empty:
        return
    counts = known["reader"].value_counts()
    yield indented(f"read by {', '.join(f'{name} ({count:,})' for name, count in counts.items())}")
    notes = known["reader"].str.cat(known["reader_note"], sep=": ").value_counts()  # null where there is no note
    for note, count in notes.head(3).items():
        yield indented(f"{note} ({counted(count, 'slide')})", 4)


def _failures(failures: pd.DataFrame, most: int) -> Iterator[RenderableType]:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in failures["error_type"].value_counts().items())
    yield Text.assemble("\n", ("failed", "bold red"), f": {kinds}")
    for row in failures.head(most).to_dict("records"):
        again = f", attempt {row['attempt']}" if row["attempt"] > 1 else ""
        yield indented(Text.assemble((str(row["slide_id"]), "red"), f"  {row['error_type']}{again}"))
        yield indented(Text(str(row["error"])), 4)
    yield from _more(len(failures) - most)
    yield indented(
        Text("Repair these and run the job again: only what failed, changed or is new will be done.", "bold")
    )


def _empty(rows: pd.DataFrame) -> Iterator[RenderableType]:
    if not rows.empty:
        yield Text.assemble("\n", ("empty", "bold yellow"), ": read well, with nothing to keep")
        for reason, count in rows["error"].fillna("no reason given").value_counts().items():
            yield indented(f"{reason} ({counted(count, 'slide')})")


def _splits(rows: pd.DataFrame) -> Iterator[RenderableType]:
    cells = [
        [row["split"] or "(none)", *(f"{row[name]:,}" for name in COLUMNS)]
        for row in summarize_splits(rows).to_dict("records")
    ]
    yield Text("\nsplits", "bold")
    yield table(["split", *COLUMNS], cells, COLUMNS)


def _slides(rows: pd.DataFrame, most: int, roomy: bool) -> Iterator[RenderableType]:
    numbers = ["patches", "positives", "seconds"]
    more = {"reader": "left", "attempt": "right", "tried": "left"} if roomy else {}
    cells = []
    for row in rows.head(most).to_dict("records"):
        name = str(row["status"])
        shown: list[str | Text] = [str(row["slide_id"]), str(row["split"] or ""), Text(name, _COLORS.get(name, ""))]
        shown += [f"{row['patches']:,}", f"{row['positives']:,}", f"{row['seconds']:,.1f}"]
        if roomy:
            shown += [row["reader"] or "", str(row["attempt"]), f"{row['processed_at']:%Y-%m-%d %H:%M}"]
        cells.append(shown)
    yield Text("\nslides, the newest first", "bold")
    yield table(["slide", "split", "status", *numbers, *more], cells, [*numbers, "attempt"])
    yield from _more(len(rows) - most)


def _more(hidden: int) -> Iterator[RenderableType]:
    if hidden > 0:
        yield indented(f"… and {hidden:,} more; --all shows them")


def for_machines(rows: pd.DataFrame, only_failed: bool = False) -> dict[str, Any]:
    """Totals, and the ledger's columns of every slide; times in ISO 8601, what is not known is null."""
    counts = rows["status"].value_counts()
    listed = rows[rows["status"] == "failed"] if only_failed else rows
    return {
        "slides": len(rows),
        **{name: int(counts.get(name, 0)) for name in _COLORS},
        "patches": int(rows["patches"].sum()),
        "positives": int(rows["positives"].sum()),
        "seconds": float(rows["seconds"].sum()),
        "last_wave": rows["processed_at"].max().isoformat(),
        "splits": summarize_splits(rows)[["split", *COLUMNS]].to_dict("records"),
        "ledger": json.loads(listed.to_json(orient="records", date_format="iso", date_unit="us")),
    }
