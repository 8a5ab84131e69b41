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

Reading by a list of our own (`sampling`) cures the last two. It also means that petastorm never looks for
`_common_metadata`, which it would unpickle, does not read all footers anew for every pass, and opens a file once for
a row group instead of twice.
"""

import queue
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem
from petastorm.arrow_reader_worker import ArrowReaderWorker
from petastorm.reader import Reader
from petastorm.transform import TransformSpec
from petastorm.workers_pool.thread_pool import ThreadPool, WorkerTerminationRequested
from petastorm.workers_pool.ventilator import ConcurrentVentilator
from pyarrow.filesystem import FileSystem

from cluster.errors import UsageError
from training.sampling import Read

PROVED_VERSION: Final = "0.13.1"
LABEL: Final = "label"
QUEUED_RESULTS: Final = 5  # of a thread; petastorm allows no fewer. Every other one only says that a group is done
_STOP_SECONDS: Final = 0.05  # after which a waiting thread sees that the pass ends


class TableFiles(FileSystem):
    """The files of an open table, behind the interface petastorm knows, on any filesystem that fsspec knows."""

    def __init__(self, filesystem: AbstractFileSystem) -> None:
        self._filesystem = filesystem

    def isdir(self, path: str) -> bool:  # noqa: ARG002
        """False: all paths are files. Asked only where there is a single one."""
        return False

    def isfile(self, path: str) -> bool:  # noqa: ARG002
        """True: the footers of all files were read a moment ago."""
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

    def _stop_aware_put(self, worker_id: int, data: object) -> None:
        """Queue a result, and wait while there is no room.

        petastorm asks a thousand times a second, which takes 5 % of a core from a slower training.

        Raises:
            WorkerTerminationRequested: the pass ends.
        """
        while not self._stop_event.is_set():
            try:
                self._results_queues[worker_id].put(data, timeout=_STOP_SECONDS)
            except queue.Full:
                continue
            return
        raise WorkerTerminationRequested

    def join(self) -> None:
        """Wait for the threads, and let go of what they had read ahead (about 25 MB otherwise).

        A thread that fails waits for room in its queue for as long as it takes: there must be some, or it never ends.
        """
        while any(worker.is_alive() for worker in self._workers):
            self._let_go()
            for worker in self._workers:
                worker.join(_STOP_SECONDS)
        self._let_go()

    def _let_go(self) -> None:
        for waiting in (*self._results_queues, *self._ventilator_queues):
            with waiting.mutex:
                waiting.queue.clear()
                waiting.not_full.notify_all()


class PlannedWorker(ArrowReaderWorker):
    """Reads what it is told of a row group, and adds the label."""

    def process(self, read: Read) -> None:
        """Read one stretch of a row group and hand it out as NumPy arrays.

        Raises:
            OSError: the file is gone or damaged; the message names it.
        """
        stored = [field.name for field in self._schema.fields.values()]
        try:
            with self._filesystem.open(read.path) as file:
                group = pq.ParquetFile(file).read_row_group(read.row_group, columns=stored)
        except (OSError, pa.ArrowException) as error:
            raise OSError(f"{read.path}, row group {read.row_group}: {error}") from error
        rows = group.slice(read.start, read.rows)
        columns = {name: rows.column(name).to_pandas().to_numpy() for name in stored}
        self.publish_func({**columns, LABEL: np.full(rows.num_rows, read.label, np.int32)})


class PlannedReader(Reader):
    """petastorm's reader, which hands a list of reads to its threads instead of all row groups of a dataset.

    Args:
        reads: in the order in which they shall come.
        settings: of petastorm's reader.
    """

    def __init__(self, reads: Sequence[Read], **settings: Any) -> None:
        self._reads = reads
        super().__init__(**settings)

    def _create_ventilator(self, *_: object) -> ConcurrentVentilator:
        pool = self._workers_pool
        items = [{"read": read} for read in self._reads]
        return ConcurrentVentilator(
            pool.ventilate, items, max_ventilation_queue_size=(1 + QUEUED_RESULTS) * pool.workers_count
        )


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
    filesystem: AbstractFileSystem, reads: Sequence[Read], columns: Sequence[str], workers: int
) -> Iterator[Reader]:
    """Open one pass.

    Args:
        filesystem: where the files lie.
        reads: what to read, in this order; at least one.
        columns: names of the columns to read; `label` comes with them.
        workers: reading threads; the order of rows does not depend on them.

    Yields:
        A petastorm reader; each item holds the rows of one read as NumPy arrays.
    """
    check_version(version("petastorm"))
    # pyarrow warns of each old interface that petastorm calls.
    warnings.filterwarnings("ignore", category=FutureWarning, message=".*(pyarrow|ParquetDataset|legacy).*")
    reader = PlannedReader(
        reads,
        pyarrow_filesystem=TableFiles(filesystem),
        dataset_path=[reads[0].path],  # petastorm takes the types of the columns from it
        schema_fields=[f"^{column}$" for column in columns],
        worker_class=PlannedWorker,
        reader_pool=WholeEpochPool(workers, results_queue_size=QUEUED_RESULTS * workers),
        shuffle_row_groups=False,
        num_epochs=1,
        transform_spec=TransformSpec(edit_fields=[(LABEL, np.int32, (), False)]),
        is_batched_reader=True,
    )
    try:
        yield reader
    finally:  # not the reader's own exit, which prints to standard output
        reader.stop()
        reader.join()
