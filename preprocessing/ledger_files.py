"""The files of the ledger: read as one table while a job may be adding to them, and joined where they became many.

A wave adds one file; `tidy` writes the rows of all files into one and then removes them. Whatever moment a reader or
a crash picks, each row lies in at least one file: in two for a moment, which `ledger.latest` does not mind.
"""

import io
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.errors import UsageError
from cluster.storage import Store
from preprocessing.ledger_schema import LEDGER_VERSION, SCHEMA
from preprocessing.schema import FOOTER_VERSION

FOLDER: Final = "slides"
MOST_FILES: Final = 256  # left as they are; at 32 slides a wave, 8,192 slides
_READERS: Final = 8  # threads; the files are small and may be far away


def read_rows(store: Store, columns: Sequence[str] = SCHEMA.names) -> pa.Table:
    """All rows of the ledger, of every job and attempt; a row may come twice where `tidy` is at work or died.

    Args:
        store: the output folder.
        columns: of `SCHEMA`; those that a file lacks are null.

    Returns:
        The columns in the order of `SCHEMA`. Memory: the compressed files and their rows, without `trace` about
        1 kB a row.

    Raises:
        UsageError: a file is no ledger of ours, or of another version.
    """
    tables = _tables(store, columns)
    wanted = pa.schema([field for field in SCHEMA if field.name in columns])
    return pa.concat_tables([wanted.empty_table(), *tables.values()], promote_options="default")


def write_rows(store: Store, rows: pa.Table) -> None:
    """Add rows as one file, which is whole or not there.

    Args:
        store: the output folder.
        rows: of `SCHEMA`.
    """
    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}.parquet"
    store.write_bytes(buffer.getvalue(), FOLDER, name)


def tidy(store: Store, most_files: int = MOST_FILES) -> None:
    """Remove what a dead job left half written, and join the files where they are more than `most_files`.

    Only for the one job that owns the output. Memory: all rows with their traces, on the driver.
    """
    for path in store.files(FOLDER):
        if path.rpartition("/")[2].startswith("_"):
            store.fs.rm_file(path)
    if len(_paths(store)) <= most_files:
        return
    tables = _tables(store, SCHEMA.names)
    joined = pa.concat_tables([SCHEMA.empty_table(), *tables.values()], promote_options="default")
    write_rows(store, _without_repeats(joined))  # first the new file, then away with the old ones: see above
    for path in tables:
        store.fs.rm_file(path)


def _tables(store: Store, columns: Sequence[str]) -> dict[str, pa.Table]:
    """The files by path; looks again until nothing new is there, as the listing may fall into a `tidy`.

    Files that vanish between the listing and the reading were joined into one that the next listing shows.
    """
    tables: dict[str, pa.Table] = {}
    seen: set[str] = set()
    with ThreadPoolExecutor(_READERS) as pool:
        while new := [path for path in _paths(store) if path not in seen]:
            seen.update(new)
            read = pool.map(lambda path: _read_file(store, path, columns), new)
            tables |= {path: table for path, table in zip(new, read, strict=True) if table is not None}
    return tables


def _paths(store: Store) -> list[str]:
    store.fs.invalidate_cache()  # remote file systems remember listings
    return [path for path in store.files(FOLDER) if path.endswith(".parquet")]


def _read_file(store: Store, path: str, columns: Sequence[str]) -> pa.Table | None:
    try:
        file = pq.ParquetFile(pa.BufferReader(store.fs.cat_file(path)))
    except FileNotFoundError:
        return None
    except pa.ArrowInvalid as error:
        raise UsageError(f"{path} is no Parquet file: remove it, its slides will be done again") from error
    version = (file.schema_arrow.metadata or {}).get(FOOTER_VERSION, LEDGER_VERSION.encode()).decode()
    if version != LEDGER_VERSION:
        raise UsageError(
            f"{path} is a ledger of version {version}, this version of histospark works with {LEDGER_VERSION}; "
            "use the newer histospark, or another output folder"
        )
    return file.read([name for name in file.schema_arrow.names if name in columns], use_threads=False)


def _without_repeats(rows: pa.Table) -> pa.Table:
    frame = rows.select(["job", "slide_id", "attempt", "processed_at"]).to_pandas()
    return rows.filter(pa.array(~frame.duplicated().to_numpy()))
