"""A petastorm reader that delivers every row, in one order, and each with the label of its own folder.

petastorm 0.13.1 has four faults, cured here by handing its `Reader` parts of our own:

* Its thread pool asks "are all workers idle?" before "has the ventilator handed out all row groups?". The last
  groups handed out between the two questions are never read: 14 to 37 of 100 epochs came back short.
* The pool collects from its threads in turn, but passes over one that has nothing to do *yet*: with several threads
  no two passes need have the same order.
* Its partition columns are numbered twice, by ten racing threads when the reader lists the folders and by one
  thread in each worker, and the numbers of the first are looked up in the second: where the two orders differ,
  labels would swap (read in its code, not seen in 100 local epochs). Here the label is read from each path.
* Its reader lists nested folders with ten threads that wait for each other: a split of 24 slides hung for ever.

Reading from a list of files cures the last two, and also means that petastorm never looks for `_common_metadata`,
which it would unpickle.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import pyarrow as pa
from fsspec import AbstractFileSystem
from petastorm.arrow_reader_worker import ArrowReaderWorker
from petastorm.reader import Reader
from petastorm.transform import TransformSpec
from petastorm.workers_pool.thread_pool import ThreadPool
from pyarrow.filesystem import FileSystem

from cluster.errors import UsageError
from training.table import partition_of

PROVED_VERSION: Final = "0.13.1"
LABEL: Final = "label"
QUEUED_GROUPS: Final = 5  # row groups a worker may have read ahead; petastorm allows no fewer


class TableFiles(FileSystem):
    """The files of an open table, behind the interface petastorm knows, on any filesystem that fsspec knows."""

    def __init__(self, filesystem: AbstractFileSystem) -> None:
        self._filesystem = filesystem

    def isdir(self, path: str) -> bool:  # noqa: ARG002
        """False: all paths are files. Asked only where there is a single one."""
        return False

    def isfile(self, path: str) -> bool:  # noqa: ARG002
        """True: the footers of all files were read a moment ago; asking again costs a round trip per file."""
        return True

    def open(self, path: str, mode: str = "rb") -> Any:
        """Open a file for reading."""
        return self._filesystem.open(path, mode)


class WholeEpochPool(ThreadPool):
    """petastorm's thread pool, which collects row groups strictly in the order in which they were handed out.

    The group with number i is read by thread i modulo their number, so that the order does not depend on the number.
    """

    def current_worker_done(self, worker_id: int) -> bool:
        """Whether nothing more will come from a thread.

        The ventilator is asked first: before it has handed out everything, a thread without work gets more, and a
        group that it hands out between two questions would be lost.
        """
        return bool(self._ventilator.completed() and super().current_worker_done(worker_id))

    def join(self) -> None:
        """Wait for the workers and let go of what they had read ahead (about 25 MB otherwise)."""
        super().join()
        for waiting in (*self._results_queues, *self._ventilator_queues):
            with waiting.mutex:
                waiting.queue.clear()


class PathLabelWorker(ArrowReaderWorker):
    """petastorm's row group reader, which adds the label that stands in the file's path."""

    def _load_rows(self, pq_file: Any, piece: Any, shuffle_row_drop_range: tuple[int, int]) -> pa.Table:
        stored = {field.name for field in self._schema.fields.values()}
        table = self._read_with_shuffle_row_drop(piece, pq_file, stored, shuffle_row_drop_range)
        label = np.full(table.num_rows, partition_of(piece.path).label, np.int32)
        # One chunk per column: where the first column has one, petastorm drops the further chunks of the others.
        return table.append_column(LABEL, pa.array(label)).combine_chunks()


def check_version(installed: str) -> None:
    """Refuse a petastorm on which the cure has not been proved.

    Raises:
        UsageError: another version than `PROVED_VERSION` is installed.
    """
    if installed != PROVED_VERSION:
        raise UsageError(
            f"petastorm {installed} is installed, but reading without loss is proved for {PROVED_VERSION} only: "
            f"pip install petastorm=={PROVED_VERSION}"
        )


@contextmanager
def open_rows(
    filesystem: AbstractFileSystem, paths: Sequence[str], columns: Sequence[str], seed: int | None, workers: int
) -> Iterator[Reader]:
    """Open one pass over some Parquet files.

    Args:
        filesystem: where the files lie.
        paths: files of the patch table, in a fixed order.
        columns: names of the columns to read; `label` comes with them.
        seed: of the order of row groups, not 0; None keeps the order of the files.
        workers: reading threads; the order of rows does not depend on them.

    Yields:
        A petastorm reader; each item holds one row group as NumPy arrays.
    """
    check_version(version("petastorm"))
    # pyarrow warns of each old interface that petastorm calls, for every file.
    warnings.filterwarnings("ignore", category=FutureWarning, message=".*(pyarrow|ParquetDataset|legacy).*")
    reader = Reader(
        TableFiles(filesystem),
        list(paths),
        schema_fields=[f"^{column}$" for column in columns],
        worker_class=PathLabelWorker,
        reader_pool=WholeEpochPool(workers, results_queue_size=QUEUED_GROUPS * workers, seed=seed),
        seed=seed,
        shuffle_row_groups=seed is not None,
        num_epochs=1,
        transform_spec=TransformSpec(edit_fields=[(LABEL, np.int32, (), False)]),
        is_batched_reader=True,
    )
    try:
        yield reader
    finally:  # not the reader's own exit, which prints to standard output
        reader.stop()
        reader.join()
