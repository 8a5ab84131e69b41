"""What each split holds, from the ledger: the table at the end of a job over slides."""

import io
from typing import Any, Final

import pandas as pd
from rich.box import ASCII2
from rich.console import Console
from rich.table import Table

from preprocessing.slide_entry import SPLITS

COLUMNS: Final = ("slides", "patients", "done", "empty", "failed", "patches", "positives")


def summarize_splits(ledger_rows: pd.DataFrame) -> pd.DataFrame:
    """Count what each split holds.

    Args:
        ledger_rows: one row a slide, as `ledger.latest` returns them.

    Returns:
        One row a split that has slides: `split`, the int64 `COLUMNS`, and `positive_share` (of the patches, NaN where
        there are none). Order: train, validation, test, then others by name. Slides and patients count in any status;
        patches and positives only of slides that are done, since no others have any in the table.
    """
    done = ledger_rows["status"] == "done"
    counted = ledger_rows.assign(
        split=ledger_rows["split"].fillna(""),
        patches=ledger_rows["patches"].where(done, 0),
        positives=ledger_rows["positives"].where(done, 0),
        **{status: ledger_rows["status"] == status for status in ("done", "empty", "failed")},
    )
    sums = dict.fromkeys(("done", "empty", "failed", "patches", "positives"), "sum")
    by_split = counted.groupby("split").agg({"slide_id": "nunique", "patient_id": "nunique", **sums})
    table = by_split.rename(columns={"slide_id": "slides", "patient_id": "patients"}).astype("int64").reset_index()
    table["positive_share"] = table["positives"] / table["patches"].where(table["patches"] > 0)
    known = {split: place for place, split in enumerate(SPLITS)}
    places = table["split"].map(lambda split: known.get(split, len(known)))
    return table.assign(place=places).sort_values(["place", "split"], ignore_index=True).drop(columns="place")


def splits_for_people(splits: pd.DataFrame) -> str:
    """The summary as plain text, with a line for all splits together.

    Args:
        splits: from `summarize_splits`. A patient is in one split only, so that patients add up.

    Returns:
        A table of ASCII signs, which any log can show, without a line feed at its end.
    """
    table = Table(box=ASCII2, show_footer=len(splits) > 1)
    total = splits[list(COLUMNS)].sum().to_dict()
    table.add_column("split", footer="all")
    for column in COLUMNS:
        table.add_column(column, footer=f"{total[column]:,}", justify="right", no_wrap=True)
    table.add_column("positive", footer=_share(total), justify="right", no_wrap=True)
    for row in splits.to_dict("records"):
        table.add_row(str(row["split"]) or "(none)", *(f"{row[column]:,}" for column in COLUMNS), _share(row))
    page = io.StringIO()
    Console(file=page, width=200, color_system=None, highlight=False, markup=False).print(table)
    return page.getvalue().rstrip()


def _share(row: dict[Any, Any]) -> str:
    if not row["patches"]:
        return "-"
    share = row["positives"] / row["patches"]
    return "<0.1%" if 0 < share < 0.001 else f"{share:.1%}"  # few is not none
