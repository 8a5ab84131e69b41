"""The patch table as a tf.data stream: petastorm reads, NumPy mixes, TensorFlow decodes."""

import ctypes
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import tensorflow as tf

from cluster.errors import JobError
from preprocessing.training_settings import EveryRow, RowSampling
from training.order import WEIGHT, Chunk, epoch_seed, filled_batches, length, shuffled
from training.row_loss import LABEL, open_rows
from training.sampling import Read, every_row, planned, rows_of_pass, rows_per_label
from training.table import PatchFile, PatchTable

_DECODE: Final = "decode_patches"  # name of the operations that fail at a damaged patch
# What TensorFlow says before it says why.
_WHERE: Final = re.compile(r"^\{\{.*?\}\} (Error in user-defined .*?Iterator::\S+: )?")


@dataclass(frozen=True)
class Shuffle:
    """How a pass over a split is mixed.

    Attributes:
        seed: with the number of the epoch it decides the whole order.
        rows: encoded rows held back to mix with.
    """

    seed: int
    rows: int


@dataclass
class SplitStream:
    """One split of a patch table, a pass at a time.

    Memory: at most `shuffle.rows` encoded rows, up to five row groups (256 rows each) per reader thread, two decoded
    batches and one for each core. Only the list of files grows with the table, and a plan of about 300 bytes for each
    row group of the pass.

    Attributes:
        table: what to read.
        split: name of the split; its unlabeled rows are left out.
        window: side of a patch, pixels.
        batch_size: rows per batch over all replicas.
        reader_workers: petastorm threads.
        shuffle: None delivers the rows in the order of the files.
        sampling: which rows make a pass.
        epoch: number of the pass that the next iteration makes; the trainer sets it.
        first_batch: batches of that pass that are left out, because a training that broke off has seen them; their
            rows are read and dropped before anything is decoded. Set it before `dataset`.
        failure: what went wrong in the last pass. TensorFlow turns an exception of a generator into an error of
            its own; `original_errors` brings this one back.
    """

    table: PatchTable
    split: str
    window: int
    batch_size: int
    reader_workers: int = 1
    shuffle: Shuffle | None = None
    sampling: RowSampling = field(default_factory=EveryRow)
    epoch: int = 0
    first_batch: int = 0
    failure: Exception | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.shuffle is None and not isinstance(self.sampling, EveryRow):
            raise ValueError(f"rows are drawn by a seed, and a stream without shuffle has none: {self.sampling}")

    @property
    def rows(self) -> int:
        """Rows in one pass."""
        return rows_of_pass(self._files, self.sampling)

    def rows_per_label(self) -> dict[int, float]:
        """Rows of each label in one pass; on average, where they are drawn."""
        return rows_per_label(self._files, self.sampling)

    @property
    def steps(self) -> int:
        """Batches in one pass."""
        return -(-self.rows // self.batch_size)

    def encoded(self) -> Iterator[Chunk]:
        """One pass over the split, still encoded.

        Yields:
            Chunks with `patch_id` int64, `label` int32 and `image_0` … as objects of bytes.

        Raises:
            JobError: more or fewer rows came than the footers promise.
        """
        if self.shuffle is None:
            return self._counted(every_row(self._files))
        seed = self.shuffle.seed
        read = self._counted(planned(self._files, self.sampling, seed, self.epoch))
        return shuffled(read, self.shuffle.rows, epoch_seed(seed, self.epoch))

    def dataset(self) -> tf.data.Dataset:
        """The split for `fit` and `evaluate`; each iteration is one pass, in the order of `epoch`.

        Returns:
            Elements `({"scale_0": (b, window, window, 3) uint8, …}, label (b, 1) float32, weight (b, 1) float32)`.
            `b` is always `batch_size`; the rows that fill the last batch weigh 0. There are `steps - first_batch`.

        Raises:
            JobError: the split is empty, or a pass has no batch `first_batch`.
        """
        if not self.rows:
            raise JobError(f"{self.table.uri} has no labeled rows in the split {self.split}: there is nothing to read")
        if not 0 <= self.first_batch < self.steps:
            raise JobError(
                f"training shall go on after batch {self.first_batch}, but a pass over the split {self.split} of "
                f"{self.table.uri} has {self.steps}: it is not the table or the batch size that training began with"
            )
        images = self.table.images

        def decoded(rows: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
            pixels = {f"scale_{scale}": self._decoded(rows[name]) for scale, name in enumerate(images)}
            return pixels, tf.cast(rows[LABEL], tf.float32)[:, tf.newaxis], rows[WEIGHT][:, tf.newaxis]

        options = tf.data.Options()
        options.deterministic = True
        # Left to itself it gives the decoding one thread, now and then for a whole pass.
        options.autotune.enabled = False
        # Sharding by file or element would hand each replica other rows than the batches made here.
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        dataset = (
            self.encoded_dataset()
            .map(decoded, num_parallel_calls=len(os.sched_getaffinity(0)), deterministic=True)
            .prefetch(2)
            .apply(tf.data.experimental.assert_cardinality(self.steps - self.first_batch))
        )
        return dataset.with_options(options)

    def encoded_dataset(self) -> tf.data.Dataset:
        """What `dataset` decodes: dictionaries of `batch_size` encoded images of each scale, `label` and `weight`."""
        size = (self.batch_size,)
        signature = {name: tf.TensorSpec(size, tf.string) for name in self.table.images}
        signature |= {LABEL: tf.TensorSpec(size, tf.int32), WEIGHT: tf.TensorSpec(size, tf.float32)}
        return tf.data.Dataset.from_generator(self._batches, output_signature=signature)

    @property
    def _files(self) -> list[PatchFile]:
        return self.table.labeled(self.split)

    def _counted(self, reads: Sequence[Read]) -> Iterator[Chunk]:
        wanted = ("patch_id", *self.table.images)
        delivered = 0
        with open_rows(self.table.filesystem, reads, wanted, self.reader_workers) as reader:
            for group in reader:
                chunk = {name: getattr(group, name) for name in (*wanted, LABEL)}
                delivered += length(chunk)
                yield chunk
        if delivered != self.rows:
            raise JobError(
                f"reading the split {self.split} of {self.table.uri} gave {delivered} rows in epoch {self.epoch + 1}, "
                f"its footers promise {self.rows}: the table changed while it was read, or its files are damaged; "
                "start again, and tile again if it stays so"
            )

    def _batches(self) -> Iterator[Chunk]:
        self.failure = None
        try:
            for batch in islice(filled_batches(self.encoded(), self.batch_size), self.first_batch, None):
                yield {name: column for name, column in batch.items() if name != "patch_id"}
        except JobError as error:
            self.failure = error
            raise
        except Exception as error:
            self.failure = JobError(
                f"reading the split {self.split} of {self.table.uri} failed: {error}; see that all its files are there "
                "and whole, and start again"
            )
            raise self.failure from error
        finally:
            _give_back_memory()

    def _decoded(self, encoded: tf.Tensor) -> tf.Tensor:
        # A batch as one element, with an operation for each of its patches, takes a fifth less CPU time than an
        # element for each patch. The operation reads PNG, too; the accurate transform gives what other decoders give.
        patches = [
            tf.io.decode_jpeg(patch, channels=3, dct_method="INTEGER_ACCURATE", name=_DECODE)
            for patch in tf.unstack(encoded, self.batch_size)
        ]
        shape = (self.batch_size, self.window, self.window, 3)
        return tf.ensure_shape(tf.stack(patches, name=_DECODE), shape, name=_DECODE)


def _give_back_memory() -> None:
    """Return to the system what is free: glibc keeps up to 40 MB of small pieces from the threads of each pass."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
    if trim is not None:
        trim(0)


@contextmanager
def original_errors(*streams: SplitStream) -> Iterator[None]:
    """Let what went wrong in a stream reach the caller as it was, instead of TensorFlow's version of it.

    Raises:
        JobError: a stream broke off, or holds an image that cannot be decoded.
    """
    try:
        yield
    except tf.errors.OpError as error:
        for stream in streams:
            if stream.failure is not None:
                raise stream.failure from None
        if _DECODE in error.message:
            reason = _WHERE.sub("", error.message.splitlines()[0]).rstrip(" :,")
            raise JobError(
                f"a patch of {streams[0].table.uri} cannot be decoded: {reason}; tile its slide again"
            ) from error
        raise
