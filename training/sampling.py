"""Which rows make a pass, and in which order they are read: planned from Parquet footers, before anything is read.

A plan is a list of reads, a function of the files, the seed and the number of the epoch alone. It has about one entry
per row group of the pass; that is all the memory it takes.

`ClassThenSlide` follows Liu et al. 2017 (arXiv 1703.02442): a class evenly, then evenly a slide that has this class,
then one of its patches. Here it is drawn at once for a whole epoch how many draws fall to each class of each slide
(multinomial), and the patches of a slide are gone through in turn instead of drawn: every class of a slide has its row
groups in an endless cycle, and each epoch goes on where the last one ended. So no row comes again before all others of
its slide and class came as often. Nothing is read to be thrown away, but for the rest of the first and of the last row
group of such a stretch: in each epoch less than two row groups (of 256 rows, as the tile job writes them) for each
class of each slide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from preprocessing.hashing import stable_hash
from preprocessing.training_settings import ClassThenSlide, RowSampling
from training.order import epoch_seed
from training.table import PatchFile


@dataclass(frozen=True, slots=True)
class Read:
    """A stretch of one row group.

    Attributes:
        path: of the file.
        slide_id, label: of its rows.
        row_group: number in the file.
        start, stop: rows of the group, counted from 0; `stop` is not included.
    """

    path: str
    slide_id: str
    label: int
    row_group: int
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """Rows that are used."""
        return self.stop - self.start


def rows_per_label(files: Sequence[PatchFile], sampling: RowSampling) -> dict[int, float]:
    """Rows of each label that a pass has; with `ClassThenSlide` what it has on average.

    Args:
        files: of one split, all with a label.
        sampling: which rows make a pass.
    """
    stored: dict[int, float] = {}
    for read in every_row(files):
        stored[read.label] = stored.get(read.label, 0) + read.rows
    if isinstance(sampling, ClassThenSlide):
        return dict.fromkeys(stored, rows_of_pass(files, sampling) / max(len(stored), 1))
    return stored


def rows_of_pass(files: Sequence[PatchFile], sampling: RowSampling) -> int:
    """How many rows a pass has."""
    drawn = sampling.rows if isinstance(sampling, ClassThenSlide) else None
    return drawn or sum(file.rows for file in files)


def planned(files: Sequence[PatchFile], sampling: RowSampling, seed: int, epoch: int) -> list[Read]:
    """The reads of one pass in the order that the seed gives them.

    Args:
        files: of one split, all with a label, in a fixed order.
        sampling: which rows make a pass.
        seed: of the training.
        epoch: number of the pass, from 0.
    """
    reads = every_row(files)
    if isinstance(sampling, ClassThenSlide):
        reads = _drawn(reads, rows_of_pass(files, sampling), seed, epoch)
    return _mixed(reads, np.random.default_rng(epoch_seed(seed, epoch)))


def every_row(files: Sequence[PatchFile]) -> list[Read]:
    """All row groups in the order of the files."""
    return [
        Read(file.path, file.partition.slide_id, file.partition.label, number, 0, rows)
        for file in files
        if file.partition.label is not None
        for number, rows in enumerate(file.row_groups)
        if rows
    ]


def _drawn(groups: Sequence[Read], draws: int, seed: int, epoch: int) -> list[Read]:
    ordered = sorted(groups, key=lambda group: (group.label, group.slide_id))  # stable: files keep their order
    cycles = [list(own) for _, own in groupby(ordered, key=lambda group: (group.label, group.slide_id))]
    labels = [cycle[0].label for cycle in cycles]
    share = np.array([1 / len(set(labels)) / labels.count(label) for label in labels])
    earlier = sum((_counts(share, draws, seed, past) for past in range(epoch)), np.zeros(len(share), np.int64))
    now = _counts(share, draws, seed, epoch)
    return [
        read
        for cycle, start, rows in zip(cycles, earlier.tolist(), now.tolist(), strict=True)
        for read in _stretch(_own_order(cycle, seed), start, rows)
    ]


def _counts(share: NDArray[np.float64], draws: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng(stable_hash("draws", seed, epoch)).multinomial(draws, share)


def _own_order(cycle: Sequence[Read], seed: int) -> list[Read]:
    rng = np.random.default_rng(stable_hash("cycle", seed, cycle[0].slide_id, cycle[0].label))
    return [cycle[place] for place in rng.permutation(len(cycle))]


def _stretch(cycle: Sequence[Read], start: int, rows: int) -> Iterator[Read]:
    """So many rows of an endless cycle of row groups, from its row `start` on."""
    ends = np.cumsum([group.rows for group in cycle])
    while rows:
        place = start % int(ends[-1])
        number = int(np.searchsorted(ends, place, side="right"))
        group = cycle[number]
        first = group.rows - (int(ends[number]) - place)
        taken = min(group.rows - first, rows)
        yield replace(group, start=first, stop=first + taken)
        start, rows = start + taken, rows - taken


def _mixed(reads: Sequence[Read], rng: np.random.Generator) -> list[Read]:
    """A random order in which the rows of each label are spread evenly over the pass.

    With a free order one label can rule for longer than the shuffle buffer can make up for.
    """
    order = rng.permutation(len(reads))
    labels = np.array([reads[number].label for number in order])
    rows = np.array([reads[number].rows for number in order])
    places = np.empty(len(reads))
    for label in np.unique(labels):
        own = labels == label
        ends = np.cumsum(rows[own])
        places[own] = (ends - rows[own] * rng.random(len(ends))) / ends[-1]
    return [reads[number] for number in order[np.argsort(places, kind="stable")]]
