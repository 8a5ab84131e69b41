"""The ledger loses no row: whatever its age, whoever reads while a job writes, wherever a job dies."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster.errors import UsageError
from cluster.storage import Store
from preprocessing import ledger
from preprocessing.inventory import SlideEntry
from preprocessing.ledger import Outcome
from preprocessing.ledger_schema import SCHEMA
from preprocessing.readers.base import SlideInfo
from preprocessing.slide_facts import SlideFacts

# The columns as the first version wrote them.
FIRST_COLUMNS = pa.schema(
    [(name, pa.string()) for name in ("job", "slide_id", "path", "fingerprint", "recipe_id", "status")]
    + [(name, pa.string()) for name in ("error_type", "error", "trace")]
    + [("width", pa.int32()), ("height", pa.int32()), ("levels", pa.int32())]
    + [("mpp", pa.float64()), ("objective_power", pa.float64()), ("vendor", pa.string())]
    + [("candidates", pa.int64()), ("patches", pa.int64()), ("positives", pa.int64()), ("seconds", pa.float64())]
    + [("attempt", pa.int32()), ("processed_at", pa.timestamp("us", tz="UTC"))]
    + [("split", pa.string()), ("patient_id", pa.string())]
)
INFO = SlideInfo(((4000, 3000), (2000, 1500)), (1.0, 2.0), 0.243, 40.0, "aperio")
FACTS = SlideFacts(
    INFO, "openslide", "its tiles are JPEG 2000", 0.25, "manifest", (0.5, None), (0.5, 1.0), (0.65, 0.7, 0.29)
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def entry(name: str) -> SlideEntry:
    return SlideEntry(name, f"/slides/{name}.svs", patient_id=f"P-{name}", split="train", fingerprint=f"f-{name}")


def add_waves(store: Store, waves: int, slides: int = 3) -> set[str]:
    """Write a ledger file a wave; returns the names of the slides."""
    last = ledger.latest(store, "tile")
    names = [[f"{wave:02d}-{slide}" for slide in range(slides)] for wave in range(waves)]
    for wave in names:
        ledger.append(store, "tile", [Outcome(entry(name), "done", FACTS, patches=7) for name in wave], "r", last)
    return {name for wave in names for name in wave}


def files(store: Store) -> list[Path]:
    return sorted(Path(store.path("slides")).glob("*.parquet"))


def write(store: Store, name: str, table: pa.Table) -> None:
    Path(store.path("slides")).mkdir(exist_ok=True)
    pq.write_table(table, store.path("slides", name))


def attempts_written(store: Store) -> dict[str, int]:
    return {row["slide_id"]: row["attempt"] for row in pq.read_table(files(store)[-1]).to_pylist()}


def test_attempts_are_counted_for_each_slide(store: Store) -> None:
    for names in ("b", "bd", "abcde"):
        outcomes = [Outcome(entry(name), "done", FACTS) for name in reversed(names)]
        ledger.append(store, "tile", outcomes, "r", ledger.latest(store, "tile"))
    assert attempts_written(store) == {"a": 1, "b": 3, "c": 1, "d": 2, "e": 1}


def test_a_wave_costs_the_same_however_many_slides_are_known(store: Store) -> None:
    looked_at: list[str] = []

    class Watched(str):
        def __lt__(self, other: str) -> bool:
            looked_at.append(self)
            return str.__lt__(self, other)

        def __gt__(self, other: str) -> bool:
            looked_at.append(self)
            return str.__gt__(self, other)

        def __eq__(self, other: object) -> bool:
            looked_at.append(self)
            return str.__eq__(self, other)

        def __hash__(self) -> int:
            looked_at.append(self)
            return str.__hash__(self)

    names = pd.Series([Watched(f"{number:05d}") for number in range(2**14)], dtype=object)
    last = pd.DataFrame({"slide_id": names, "attempt": np.arange(2**14)})
    ledger.append(store, "tile", [Outcome(entry(f"{number:05d}"), "done", FACTS) for number in (7, 9000)], "r", last)
    assert attempts_written(store) == {"00007": 8, "09000": 9001}
    assert 0 < len(looked_at) < 100  # twice 14 steps of a search


def test_row_tells_how_the_slide_was_read(store: Store) -> None:
    failed = ledger.failed_by(entry("bad"), ValueError("no\nmore"))
    last = pd.DataFrame({"slide_id": ["good"], "attempt": [2]})
    ledger.append(store, "tile", [Outcome(entry("good"), "done", FACTS, patches=7), failed], "r", last)
    rows = {row["slide_id"]: row for row in pq.read_table(files(store)[0]).to_pylist()}
    good, bad = rows["good"], rows["bad"]
    assert list(good) == SCHEMA.names
    assert SCHEMA.names[: len(FIRST_COLUMNS)] == FIRST_COLUMNS.names
    assert (good["width"], good["height"], good["levels"], good["mpp"]) == (4000, 3000, 2, 0.25)
    assert (good["reader"], good["reader_note"], good["mpp_source"]) == (
        "openslide",
        "its tiles are JPEG 2000",
        "manifest",
    )
    assert (good["requested_mpp"], good["effective_mpp"]) == ([0.5, None], [0.5, 1.0])
    assert (good["stain"], good["attempt"]) == ([0.65, 0.7, 0.29], 3)
    assert (bad["error_type"], bad["error"], bad["status"]) == ("ValueError", "no", "failed")
    assert all(bad[name] is None for name in SCHEMA.names[len(FIRST_COLUMNS) :] if name != "left_out")


def test_files_older_than_a_column_read_as_null(store: Store) -> None:
    old = {"job": "tile", "slide_id": "old", "status": "done", "patches": 5, "attempt": 1}
    write(store, "20200101T000000-00000000.parquet", pa.Table.from_pylist([old], FIRST_COLUMNS))
    add_waves(store, waves=1)
    rows = ledger.latest(store, "tile").set_index("slide_id")
    assert len(rows) == 4
    assert rows.at["old", "patches"] == 5
    assert rows.loc["old", ["reader", "mpp_source", "requested_mpp", "effective_mpp", "stain"]].isna().all()
    assert rows.at["00-0", "reader"] == "openslide"
    ledger.tidy(store, most_files=1)
    pd.testing.assert_frame_equal(ledger.latest(store, "tile").set_index("slide_id"), rows)


def test_latest_equals_a_slow_search(store: Store) -> None:
    rng = np.random.default_rng(4)
    rows: list[dict[str, Any]] = [
        {
            "job": str(rng.choice(["tile", "infer"])),
            "slide_id": f"{rng.integers(20):04d}",
            "attempt": int(rng.integers(1, 6)),
            "processed_at": datetime.fromtimestamp(1.6e9 + i, UTC),
            "patches": i,
        }
        for i in rng.permutation(400)
    ]
    for start in range(0, 400, 40):
        write(store, f"{start}.parquet", pa.Table.from_pylist(rows[start : start + 40], SCHEMA))
    best: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["job"] == "infer":
            other = best.setdefault(row["slide_id"], row)
            if (row["attempt"], row["processed_at"]) > (other["attempt"], other["processed_at"]):
                best[row["slide_id"]] = row
    got = ledger.latest(store, "infer")
    assert got["slide_id"].tolist() == sorted(best)
    assert got["patches"].tolist() == [best[name]["patches"] for name in sorted(best)]
    assert "trace" not in got


def test_no_ledger_is_no_row(store: Store) -> None:
    rows = ledger.latest(store, "tile")
    assert rows.empty
    assert set(SCHEMA.names) - set(rows.columns) == {"trace"}


def test_tidy_joins_many_files_into_one_and_clears_half_written_ones(store: Store) -> None:
    names = add_waves(store, waves=9)
    Path(store.path("slides", "_half")).write_bytes(b"PAR1")
    before = ledger.latest(store, "tile")
    ledger.tidy(store, most_files=9)
    assert len(files(store)) == 9  # few enough to stay
    ledger.tidy(store, most_files=8)
    assert [path.name for path in Path(store.path("slides")).iterdir()] == [files(store)[0].name]
    assert pq.read_table(files(store)[0]).num_rows == len(names) == 27
    pd.testing.assert_frame_equal(ledger.latest(store, "tile"), before)


@pytest.mark.parametrize("survivors", range(6))
def test_tidy_that_dies_at_any_step_loses_and_repeats_nothing(
    store: Store, survivors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_waves(store, waves=5)
    before = ledger.latest(store, "tile")
    steps = iter(range(5 - survivors))
    remove = store.fs.rm_file

    def dying(path: str) -> None:
        if next(steps, None) is None:
            raise KeyboardInterrupt
        remove(path)

    with monkeypatch.context() as patch:
        patch.setattr(store.fs, "rm_file", dying)
        if survivors:
            with pytest.raises(KeyboardInterrupt):
                ledger.tidy(store, most_files=1)
        else:
            ledger.tidy(store, most_files=1)
    assert len(files(store)) == 1 + survivors
    pd.testing.assert_frame_equal(ledger.latest(store, "tile"), before)
    ledger.tidy(store, most_files=1)
    assert pq.read_table(files(store)[0]).num_rows == 15


def test_files_that_vanish_under_a_reader_are_found_in_the_joined_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader has listed the old files when they are joined, which it meets as files that are not there."""
    names = add_waves(store, waves=5)
    other = Store(store.uri)
    once = iter([other])
    read = store.fs.cat_file

    def late(path: str) -> bytes:
        for writer in once:
            monkeypatch.setattr(store.fs, "cat_file", read)
            ledger.tidy(writer, most_files=1)
        return bytes(read(path))

    monkeypatch.setattr(store.fs, "cat_file", late)
    assert set(ledger.latest(store, "tile")["slide_id"]) == names
    assert len(files(store)) == 1


def test_listing_that_falls_into_a_tidy_is_repeated(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing is no snapshot: it may show neither the new file nor the old ones that were removed meanwhile."""
    names = add_waves(store, waves=5)
    listings: Iterator[Callable[[list[str]], list[str]]] = iter([lambda paths: paths[:2], lambda paths: paths])
    whole = store.files
    monkeypatch.setattr(store, "files", lambda *parts: next(listings, list)(whole(*parts)))
    assert set(ledger.latest(store, "tile")["slide_id"]) == names


def test_reader_beside_a_busy_writer_always_sees_every_row(store: Store) -> None:
    names = add_waves(store, waves=6)
    over = threading.Event()
    seen: list[set[str]] = []

    def read() -> None:
        while not over.is_set():
            seen.append(set(ledger.latest(Store(store.uri), "tile")["slide_id"]))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(15):
        ledger.tidy(store, most_files=1)
        add_waves(store, waves=3)  # the same slides again: nothing new to see
    over.set()
    reader.join()
    assert seen
    assert all(rows == names for rows in seen)


def test_ledger_of_a_later_version_and_stray_files_are_refused_by_name(store: Store) -> None:
    later = SCHEMA.with_metadata({b"histospark.schema_version": b"2"})
    write(store, "later.parquet", pa.Table.from_pylist([{"job": "tile"}], later))
    with pytest.raises(UsageError, match=r"later\.parquet is a ledger of version 2, this version .* works with 1"):
        ledger.latest(store, "tile")
    Path(store.path("slides", "later.parquet")).write_bytes(b"a note")
    with pytest.raises(UsageError, match=r"later\.parquet is no Parquet file: remove it"):
        ledger.latest(store, "tile")
