"""Class, then slide, then patch: the draws have the shares of the paper, spread over all rows, and can be repeated."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from cluster.errors import JobError
from preprocessing.training_settings import ClassThenSlide, EveryRow
from tests.training.tiny_table import WINDOW, WrittenTable
from training.sampling import Read, planned, rows_of_pass, rows_per_label
from training.stream import Shuffle, SplitStream
from training.table import PatchFile, PatchTable, open_table, partition_of

Row = tuple[str, int, int]
LARGE = {"a": {0: 40_000, 1: 900}, "b": {0: 3_000, 1: 20_000}, "c": {0: 700}, "d": {0: 12_345, 1: 77}}


def table_files(slides: dict[str, dict[int, int]], row_group: int = 256, per_file: int = 5) -> list[PatchFile]:
    """Files of some slides; five row groups in each."""
    files = []
    for slide, labels in slides.items():
        for label, rows in labels.items():
            groups = [min(row_group, rows - start) for start in range(0, rows, row_group)]
            for part in range(0, len(groups), per_file):
                path = f"/t/split=train/slide_id={slide}/label={label}/part-{part}.parquet"
                files.append(PatchFile(path, partition_of(path), tuple(groups[part : part + per_file])))
    return files


def rows_of(reads: Sequence[Read]) -> Iterator[Row]:
    for read in reads:
        for row in range(read.start, read.stop):
            yield read.path, read.row_group, row


def drawn_per_slide(reads: Sequence[Read]) -> Counter[tuple[int, str]]:
    drawn: Counter[tuple[int, str]] = Counter()
    for read in reads:
        drawn[read.label, read.slide_id] += read.rows
    return drawn


def drawn_stream(table: PatchTable, rows: int | None = 100, **changes: object) -> SplitStream:
    settings = {"batch_size": 16, "shuffle": Shuffle(seed=5, rows=32), "sampling": ClassThenSlide(rows=rows), **changes}
    return SplitStream(table, "train", WINDOW, **settings)


def ids_of(stream: SplitStream) -> list[int]:
    return [patch for chunk in stream.encoded() for patch in chunk["patch_id"].tolist()]


def test_each_class_and_each_slide_of_a_class_has_its_even_share() -> None:
    files, draws, epochs = table_files(LARGE), 2_000, 50
    wanted = {(0, slide): 1 / 2 / 4 for slide in "abcd"} | {(1, slide): 1 / 2 / 3 for slide in "abd"}
    total: Counter[tuple[int, str]] = Counter()
    for epoch in range(epochs):
        drawn = drawn_per_slide(planned(files, ClassThenSlide(rows=draws), 7, epoch))
        assert drawn.total() == draws
        total += drawn
    assert total.keys() == wanted.keys()
    for pair, share in wanted.items():
        low, high = stats.binom.interval(1 - 1e-5, draws * epochs, share)
        assert low <= total[pair] <= high


def test_the_counts_of_epochs_vary_as_independent_draws_do() -> None:
    files, draws, epochs = table_files({"a": {0: 5_000}, "b": {1: 5_000}}), 1_000, 400
    tumor = [drawn_per_slide(planned(files, ClassThenSlide(rows=draws), 7, epoch))[1, "b"] for epoch in range(epochs)]
    ratio = np.var(tumor, ddof=1) / (draws / 4)  # of a binomial with p = 1/2
    low, high = stats.chi2.interval(1 - 1e-5, epochs - 1)
    assert low / (epochs - 1) < ratio < high / (epochs - 1)


def test_no_row_comes_again_before_all_of_its_slide_and_class_came() -> None:
    slides = {"a": {0: 2_000, 1: 300}, "b": {0: 37}, "c": {1: 1}}
    files = table_files(slides, row_group=64)
    came = Counter({row: 0 for file in files for row in rows_of(_whole(file))})
    owner = {row: partition_of(row[0]) for row in came}
    for epoch in range(12):
        came.update(rows_of(planned(files, ClassThenSlide(rows=500), 3, epoch)))
        for slide, labels in slides.items():
            for label in labels:
                times = [n for row, n in came.items() if (owner[row].slide_id, owner[row].label) == (slide, label)]
                assert max(times) - min(times) <= 1
    assert came.total() == 12 * 500


def _whole(file: PatchFile) -> list[Read]:
    return [Read(file.path, "", 0, number, 0, rows) for number, rows in enumerate(file.row_groups)]


def test_a_plan_is_a_function_of_seed_and_epoch() -> None:
    files, sampling = table_files(LARGE), ClassThenSlide(rows=3_000)
    plans = [planned(files, sampling, seed, epoch) for seed in (1, 2) for epoch in (0, 1)]
    assert planned(table_files(LARGE), ClassThenSlide(rows=3_000), 2, 1) == plans[3]
    assert len({tuple(plan) for plan in plans}) == 4


def test_little_is_read_in_vain() -> None:
    files = table_files(LARGE)
    pairs = sum(map(len, LARGE.values()))
    for epoch in range(20):
        plan = planned(files, ClassThenSlide(rows=20_000), 7, epoch)
        read = sum(len(range(*_group(files, stretch))) for stretch in plan)
        assert 0 <= read - 20_000 < pairs * 2 * 256


def _group(files: Sequence[PatchFile], read: Read) -> tuple[int, int]:
    return 0, next(file for file in files if file.path == read.path).row_groups[read.row_group]


@pytest.mark.parametrize("sampling", [EveryRow(), ClassThenSlide(rows=20_000)])
def test_every_stretch_of_a_pass_has_the_classes_of_the_whole(sampling: EveryRow | ClassThenSlide) -> None:
    files = table_files({"a": {0: 30_000}, "b": {0: 2_000, 1: 30_000}, "c": {1: 2_000}})
    labels = np.repeat(*np.array([(read.label, read.rows) for read in planned(files, sampling, 1, 0)]).T)
    wanted = labels.mean()
    for start in range(0, len(labels) - 4096, 1024):
        assert abs(labels[start : start + 4096].mean() - wanted) < 0.07  # one row group of each class is 0.0625


def test_a_pass_has_as_many_rows_as_asked() -> None:
    files = table_files({"a": {0: 30}, "b": {0: 20, 1: 10}})
    assert rows_of_pass(files, ClassThenSlide(rows=7)) == 7
    assert rows_of_pass(files, ClassThenSlide()) == rows_of_pass(files, EveryRow()) == 60
    assert rows_per_label(files, EveryRow()) == {0: 50, 1: 10}
    assert rows_per_label(files, ClassThenSlide(rows=7)) == {0: 3.5, 1: 3.5}


def test_the_stream_delivers_the_plan(written: WrittenTable) -> None:
    stream = drawn_stream(open_table(written.uri))
    assert (stream.rows, stream.steps) == (100, 7)
    assert stream.rows_per_label() == {0: 50, 1: 50}
    came: Counter[int] = Counter()
    for epoch in range(10):
        stream.epoch = epoch
        chunks = list(stream.encoded())
        labels = {patch: label for c in chunks for patch, label in zip(c["patch_id"], c["label"], strict=True)}
        assert all(written.labels[patch] == label for patch, label in labels.items())
        came.update(patch for chunk in chunks for patch in chunk["patch_id"].tolist())
    assert came.total() == 1_000
    assert came.keys() == written.ids["train"]  # 42 tumor patches in two slides came about twelve times each
    per_class = Counter()
    for patch, times in came.items():
        per_class[written.labels[patch]] += times
    low, high = stats.binom.interval(1 - 1e-5, 1_000, 0.5)
    assert low <= per_class[1] <= high


def test_draws_are_the_same_with_one_and_with_three_threads(written: WrittenTable) -> None:
    table = open_table(written.uri)
    for epoch in range(10):
        one, three = drawn_stream(table, epoch=epoch), drawn_stream(table, epoch=epoch, reader_workers=3)
        assert ids_of(one) == ids_of(three)


def test_drawn_passes_go_on_at_a_batch(written: WrittenTable) -> None:
    table = open_table(written.uri)
    whole = list(drawn_stream(table, epoch=3).dataset().as_numpy_iterator())
    rest = list(drawn_stream(table, epoch=3, first_batch=4).dataset().as_numpy_iterator())
    assert (len(whole), len(rest)) == (7, 3)
    for (images, labels, weights), (images_2, labels_2, weights_2) in zip(whole[4:], rest, strict=True):
        np.testing.assert_array_equal(images["scale_1"], images_2["scale_1"])
        np.testing.assert_array_equal(labels, labels_2)
        np.testing.assert_array_equal(weights, weights_2)


def test_only_planned_row_groups_are_read(written: WrittenTable) -> None:
    stream, real, read = drawn_stream(open_table(written.uri), rows=50), pq.ParquetFile.read_row_group, []

    def noted(file: pq.ParquetFile, number: int, **settings: object) -> object:
        group = real(file, number, **settings)
        read.append(group.num_rows)
        return group

    with mock.patch.object(pq.ParquetFile, "read_row_group", noted):
        ids_of(stream)
    assert 50 <= sum(read) < 50 + 5 * 2 * 8  # two row groups of 8 for each class of each slide
    assert len(read) == len(planned(stream.table.labeled("train"), stream.sampling, 5, 0))


def test_rows_that_a_plan_lacks_are_missed(written: WrittenTable) -> None:
    table = open_table(written.uri)
    files = [replace(file, row_groups=tuple(rows + 8 for rows in file.row_groups)) for file in table.files]
    with pytest.raises(JobError, match=r"gave \d+ rows in epoch 1, .* 300"):
        ids_of(drawn_stream(replace(table, files=tuple(files)), rows=300))


def test_draws_need_a_seed(written: WrittenTable) -> None:
    with pytest.raises(ValueError, match="drawn by a seed"):
        drawn_stream(open_table(written.uri), shuffle=None)
