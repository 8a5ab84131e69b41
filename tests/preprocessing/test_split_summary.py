"""The table at the end of a job against counting by hand."""

from pathlib import Path

import pandas as pd
import pytest

from cluster.storage import Store
from preprocessing.ledger import latest
from preprocessing.split_summary import splits_for_people, summarize_splits

# slide, patient, split, status, patches, positives
ROWS = [
    ("a", "P1", "test", "done", 1000, 250),
    ("b", "P1", "test", "done", 500, 0),
    ("c", "P2", "train", "done", 2_000_000, 20),
    ("d", "P3", "train", "failed", 0, 0),
    ("e", "P3", "train", "failed", 70, 7),  # what a failed attempt counted is not in the table
    ("f", "P4", "train", "empty", 0, 0),
    ("g", "P5", "validation", "empty", 0, 0),
    ("h", "P6", "holdout", "done", 10, 10),
]


def ledger() -> pd.DataFrame:
    columns = ["slide_id", "patient_id", "split", "status", "patches", "positives"]
    return pd.DataFrame(ROWS, columns=columns).sample(frac=1, random_state=1, ignore_index=True)


def test_every_number_is_what_counting_gives() -> None:
    found = summarize_splits(ledger()).set_index("split")
    assert list(found.index) == ["train", "validation", "test", "holdout"]
    for split, row in found.iterrows():
        mine = [line for line in ROWS if line[2] == split]
        done = [line for line in mine if line[3] == "done"]
        assert row["slides"] == len(mine)
        assert row["patients"] == len({line[1] for line in mine})
        for status in ("done", "empty", "failed"):
            assert row[status] == sum(line[3] == status for line in mine)
        assert row["patches"] == sum(line[4] for line in done)
        assert row["positives"] == sum(line[5] for line in done)
        if row["patches"]:
            assert row["positive_share"] == pytest.approx(row["positives"] / row["patches"])
        else:
            assert pd.isna(row["positive_share"])


def test_people_get_a_plain_table_that_adds_up() -> None:
    said = splits_for_people(summarize_splits(ledger()))
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in said.splitlines() if "|" in line]
    head, *rows, total = lines
    assert head == ["split", "slides", "patients", "done", "empty", "failed", "patches", "positives", "positive"]
    assert [row[0] for row in rows] == ["train", "validation", "test", "holdout"]
    assert rows[0] == ["train", "4", "3", "1", "1", "2", "2,000,000", "20", "<0.1%"]
    assert rows[1][-1] == "-"
    assert total == ["all", "8", "6", "4", "2", "2", "2,001,510", "280", "<0.1%"]
    assert said.isascii()
    assert "\x1b" not in said
    assert max(map(len, said.splitlines())) <= 100


def test_one_split_needs_no_sum() -> None:
    only = ledger().query("split == 'test'")
    assert "all" not in splits_for_people(summarize_splits(only))


def test_ledger_without_rows_gives_a_table_without_rows(tmp_path: Path) -> None:
    found = summarize_splits(latest(Store(str(tmp_path)), "tile"))
    assert found.empty
    assert "slides" in splits_for_people(found)
