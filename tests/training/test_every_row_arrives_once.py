"""The stream delivers what the table holds: all of it, once, with its own label, in an order the seed decides."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import pytest
import simplejpeg
import tensorflow as tf
from petastorm.workers_pool.thread_pool import ThreadPool
from petastorm.workers_pool.ventilator import ConcurrentVentilator

from cluster.errors import JobError, UsageError
from tests.training.tiny_table import WINDOW, WrittenTable
from training import row_loss
from training.stream import Shuffle, SplitStream, original_errors
from training.table import PatchTable, open_table

Make = Callable[..., WrittenTable]


def train_stream(table: PatchTable, **changes: object) -> SplitStream:
    settings = {"batch_size": 16, "shuffle": Shuffle(seed=5, rows=32), **changes}
    return SplitStream(table, "train", WINDOW, **settings)


def longer(table: PatchTable, rows: int) -> PatchTable:
    """The same with so many more rows in the footer's last row group than the file has."""
    files = [replace(file, row_groups=(*file.row_groups[:-1], file.row_groups[-1] + rows)) for file in table.files]
    return replace(table, files=tuple(files))


def ids_of(stream: SplitStream) -> list[int]:
    return [patch for chunk in stream.encoded() for patch in chunk["patch_id"].tolist()]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_hundred_epochs_deliver_every_patch_once_each(written: WrittenTable, workers: int) -> None:
    stream = train_stream(open_table(written.uri), reader_workers=workers)
    for epoch in range(100):
        stream.epoch = epoch
        assert Counter(ids_of(stream)) == Counter(written.ids["train"])


def test_every_patch_has_the_label_of_its_folder(written: WrittenTable) -> None:
    chunks = list(train_stream(open_table(written.uri), reader_workers=2).encoded())
    got = {patch: label for c in chunks for patch, label in zip(c["patch_id"], c["label"], strict=True)}
    assert got == {patch: written.labels[patch] for patch in written.ids["train"]}
    assert all(c["label"].dtype == np.int32 for c in chunks)


def test_each_epoch_has_an_order_of_its_own_that_the_seed_repeats(written: WrittenTable) -> None:
    table = open_table(written.uri)
    first, again = train_stream(table), train_stream(open_table(written.uri))
    orders = []
    for epoch in range(4):
        first.epoch = again.epoch = epoch
        orders.append(ids_of(first))
        assert orders[-1] == ids_of(again)
    assert len({tuple(order) for order in orders}) == 4
    assert ids_of(train_stream(table, shuffle=Shuffle(seed=6, rows=32))) != orders[0]


def test_the_order_does_not_depend_on_the_number_of_threads(written: WrittenTable) -> None:
    table = open_table(written.uri)
    one, *several = (train_stream(table, reader_workers=workers) for workers in (1, 2, 4))
    for epoch in range(40):
        one.epoch = epoch
        expected = ids_of(one)
        for stream in several:
            stream.epoch = epoch
            assert ids_of(stream) == expected


class BurstVentilator(ConcurrentVentilator):
    """Hands out three row groups at once and then rests: petastorm's pool has passed over any thread meanwhile."""

    def _ventilate(self) -> None:
        hand_out, numbers = self._ventilate_fn, count()

        def hand_out_in_bursts(**item: object) -> None:
            time.sleep(0 if next(numbers) % 3 else 0.02)
            hand_out(**item)

        self._ventilate_fn = hand_out_in_bursts
        super()._ventilate()


def test_the_order_holds_while_threads_wait_for_work(written: WrittenTable) -> None:
    table = open_table(written.uri)
    expected = ids_of(train_stream(table))
    with mock.patch("training.row_loss.ConcurrentVentilator", BurstVentilator):
        for _ in range(5):
            assert ids_of(train_stream(table, reader_workers=3)) == expected


def test_a_pass_that_goes_on_has_the_batches_of_an_undisturbed_one(written: WrittenTable) -> None:
    table = open_table(written.uri)
    whole = list(train_stream(table, epoch=2).dataset().as_numpy_iterator())
    for first in (1, 4, 5):
        rest = train_stream(table, epoch=2, first_batch=first).dataset()
        assert rest.cardinality().numpy() == 6 - first
        for ours, theirs in zip(rest.as_numpy_iterator(), whole[first:], strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, ours, theirs)


def with_images(written: WrittenTable, images: Sequence[bytes]) -> PatchTable:
    """The table with other images at scale 0 in the first rows of each file."""
    for path in Path(written.uri).rglob("*.parquet"):
        rows = pq.read_table(path, partitioning=None)
        column = [*images, *rows["image_0"].to_pylist()[len(images) :]]
        changed = rows.set_column(rows.column_names.index("image_0"), "image_0", [column]).cast(rows.schema)
        pq.write_table(changed, path, row_group_size=8)
    return open_table(written.uri)


def test_batches_left_out_are_counted_but_not_decoded(make_table: Make) -> None:
    table = with_images(make_table({("train", "a"): {0: 32}}), [b"no image"] * 16)
    assert len(list(train_stream(table, shuffle=None, first_batch=1).dataset())) == 1
    stream = train_stream(longer(table, 8), shuffle=None, first_batch=1)
    with pytest.raises(JobError, match="gave 32 rows in epoch 1, its footers promise 40"), original_errors(stream):
        for _ in stream.dataset():
            pass


SMALL = simplejpeg.encode_jpeg(np.zeros((64, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([b"no image"], "Unknown image file format"),
        ([SMALL], r"\[64,64,3\]"),
        ([SMALL] * 16, r"\[16,64,64,3\]"),
        ([SMALL[:300]], "JPEG"),
    ],
)
def test_a_damaged_patch_reaches_the_caller_as_one_line(make_table: Make, images: list[bytes], reason: str) -> None:
    stream = train_stream(with_images(make_table({("train", "a"): {0: 16}}), images), shuffle=None)
    with pytest.raises(JobError, match="cannot be decoded: .*" + reason) as caught, original_errors(stream):
        for _ in stream.dataset():
            pass
    message = str(caught.value)
    assert message.endswith("; tile its slide again")
    assert "\n" not in message
    assert "node" not in message


def test_a_pass_cannot_go_on_behind_its_end(written: WrittenTable) -> None:
    with pytest.raises(JobError, match=r"go on after batch 6, but a pass over the split train of .* has 6"):
        train_stream(open_table(written.uri), first_batch=6).dataset()


def test_an_epoch_mixes_slides_and_classes(written: WrittenTable) -> None:
    stream = train_stream(open_table(written.uri), shuffle=Shuffle(seed=5, rows=93))
    labels = [written.labels[patch] for patch in ids_of(stream)]
    assert all(len(set(labels[start : start + 16])) == 2 for start in range(0, 80, 16))


def test_without_shuffling_rows_come_in_the_order_of_the_files(written: WrittenTable) -> None:
    stream = train_stream(open_table(written.uri), shuffle=None)
    assert ids_of(stream) == ids_of(stream)
    assert Counter(ids_of(stream)) == Counter(written.ids["train"])


class LateVentilator(ConcurrentVentilator):
    """Hands out the last row group while it is asked whether it is done: the moment petastorm's pool misjudges."""

    def _ventilate(self) -> None:
        hand_out = self._ventilate_fn

        def hand_out_later(**item: object) -> None:
            time.sleep(0.02)  # the workers run idle meanwhile
            hand_out(**item)

        self._ventilate_fn = hand_out_later
        super()._ventilate()

    def completed(self) -> bool:
        thread = self._ventilation_thread
        last = self._current_item_to_ventilate == len(self._items_to_ventilate) - 1
        if last and thread is not None and threading.current_thread() is not thread:
            thread.join(timeout=1)
        return super().completed()


def test_petastorms_own_pool_loses_rows_and_is_caught(written: WrittenTable) -> None:
    stream = train_stream(open_table(written.uri))
    with (
        mock.patch("training.row_loss.ConcurrentVentilator", LateVentilator),
        mock.patch.object(row_loss, "WholeEpochPool", ThreadPool),
        pytest.raises(JobError, match=r"split train .* gave \d+ rows in epoch 1, its footers promise 93"),
    ):
        ids_of(stream)


def test_our_pool_loses_nothing_in_the_same_race(written: WrittenTable) -> None:
    stream = train_stream(open_table(written.uri))
    with mock.patch("training.row_loss.ConcurrentVentilator", LateVentilator):
        assert Counter(ids_of(stream)) == Counter(written.ids["train"])


def test_a_missing_row_group_reaches_the_caller_as_one_line(written: WrittenTable) -> None:
    table = open_table(written.uri)
    stream = train_stream(longer(table, 8))
    with pytest.raises(JobError, match="gave 93 rows in epoch 1, its footers promise 133"), original_errors(stream):
        for _ in stream.dataset():
            pass


def test_a_reader_error_reaches_the_caller_with_its_cause(written: WrittenTable) -> None:
    table = open_table(written.uri)
    gone = tuple(replace(file, path=file.path.replace("part-0", "part-9")) for file in table.files)
    stream = train_stream(replace(table, files=gone))
    with pytest.raises(JobError, match=r"reading the split train .* failed: .*part-9"), original_errors(stream):
        for _ in stream.dataset():
            pass


def test_the_last_batch_is_filled_with_rows_of_weight_zero(written: WrittenTable) -> None:
    stream = train_stream(open_table(written.uri))
    batches = list(stream.dataset())
    assert len(batches) == stream.steps == 6
    weights = np.stack([weight.numpy()[:, 0] for _, _, weight in batches])
    assert weights.shape == (6, 16)
    assert weights.sum() == 93
    assert weights[-1].tolist() == [1.0] * 13 + [0.0] * 3
    last = batches[-1][0]["scale_0"].numpy()
    assert np.array_equal(last[13:], last[:3])


def test_pixels_and_labels_arrive_as_they_were_written(written: WrittenTable) -> None:
    table = open_table(written.uri)
    stream = train_stream(table, shuffle=None)
    rows = [
        (chunk["image_0"][row], chunk["image_1"][row], chunk["label"][row])
        for chunk in stream.encoded()
        for row in range(len(chunk["label"]))
    ]
    (images, labels, _), *_ = stream.dataset()
    assert images["scale_0"].dtype == tf.uint8
    assert labels.shape == (16, 1)
    for place in range(16):
        for scale in (0, 1):
            expected = simplejpeg.decode_jpeg(rows[place][scale])
            assert np.array_equal(images[f"scale_{scale}"].numpy()[place], expected)
        assert labels.numpy()[place, 0] == rows[place][2]


@pytest.fixture
def pools() -> Iterator[list[row_loss.WholeEpochPool]]:
    """The pools that the test opens."""
    noted: list[row_loss.WholeEpochPool] = []

    class Noted(row_loss.WholeEpochPool):
        def __init__(self, *args: object, **settings: object) -> None:
            super().__init__(*args, **settings)
            noted.append(self)

    with mock.patch.object(row_loss, "WholeEpochPool", Noted):
        yield noted


Pools = list[row_loss.WholeEpochPool]


def test_a_reader_left_half_way_lets_go_of_what_it_read(written: WrittenTable, pools: Pools) -> None:
    rows = train_stream(open_table(written.uri), shuffle=None).encoded()
    next(rows)
    rows.close()
    (pool,) = pools
    assert pool.results_qsize() == 0
    assert not any(worker.is_alive() for worker in pool._workers)


def test_a_reader_left_half_way_ends_where_its_thread_has_failed_and_waits(written: WrittenTable, pools: Pools) -> None:
    table = open_table(written.uri)
    first, second, *rest = table.labeled("train")
    assert len(first.row_groups) == 3
    gone = replace(second, path=second.path.replace("part-0", "part-9"))
    rows = train_stream(replace(table, files=(first, gone, *rest)), shuffle=None).encoded()
    next(rows)
    while pools[0].results_qsize() < 5:  # three groups are read, the fourth has failed
        time.sleep(0.01)
    leaving = threading.Thread(target=rows.close, daemon=True)
    leaving.start()
    leaving.join(30)
    assert not leaving.is_alive()


def test_a_reader_that_waits_takes_no_processor(written: WrittenTable, pools: Pools) -> None:
    rows = train_stream(open_table(written.uri), shuffle=None).encoded()
    next(rows)
    (pool,) = pools
    with mock.patch.object(pool._results_queues[0], "put", wraps=pool._results_queues[0].put) as put:
        while not put.call_count:  # it waits for room
            time.sleep(0.01)
        put.reset_mock()
        started = time.monotonic()
        time.sleep(0.5)
        tries, seconds = put.call_count, time.monotonic() - started
    assert tries <= 20 * seconds + 1  # petastorm: 1000 a second
    rows.close()


def test_reading_prints_nothing(written: WrittenTable, capfd: pytest.CaptureFixture[str]) -> None:
    ids_of(train_stream(open_table(written.uri)))
    assert capfd.readouterr() == ("", "")


def test_another_petastorm_is_refused() -> None:
    with pytest.raises(UsageError, match=r"petastorm 0\.14\.0 is installed.*pip install petastorm==0\.13\.1"):
        row_loss.check_version("0.14.0")
