"""What a patch table holds, read from its paths and Parquet footers alone."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

from cluster.errors import UsageError
from cluster.storage import Store
from preprocessing.published_files import published_files
from preprocessing.recipe import Recipe
from preprocessing.schema import FOOTER_RECIPE, FOOTER_RECIPE_ID, UNLABELED, refuse_other_version

_LAYOUT = re.compile(r"(?:^|/)split=(?P<split>[^/]+)/slide_id=(?P<slide>[^/]+)/label=(?P<label>[^/]+)/[^/]+\.parquet$")
_IMAGE_COLUMN = re.compile(r"image_\d+")
_Key = TypeVar("_Key")
_FOOTER_READERS = 8  # threads; footers are small and far away


@dataclass(frozen=True)
class Partition:
    """What the path of a file says about its rows; `label` is None where nothing is annotated."""

    split: str
    slide_id: str
    label: int | None


@dataclass(frozen=True)
class PatchFile:
    """One Parquet file of the table.

    Attributes:
        path: on the filesystem.
        partition: what its path says.
        row_groups: number of rows of each row group.
    """

    path: str
    partition: Partition
    row_groups: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Its number of rows."""
        return sum(self.row_groups)


@dataclass(frozen=True)
class PatchTable:
    """A patch table that can be read.

    Attributes:
        uri: the output of the tile job; the patches lie in `uri/patches`.
        filesystem: where it lies.
        recipe_id, recipe_json: what it was cut by.
        images: names of the image columns, scale 0 first.
        files: all files, sorted by path.
    """

    uri: str
    filesystem: AbstractFileSystem
    recipe_id: str
    recipe_json: str
    images: tuple[str, ...]
    files: tuple[PatchFile, ...]

    def labeled(self, split: str) -> list[PatchFile]:
        """The files of a split that have a label, sorted by path."""
        return [file for file in self.files if file.partition.split == split and file.partition.label is not None]

    def rows(self, split: str) -> int:
        """Number of labeled rows of a split."""
        return sum(file.rows for file in self.labeled(split))

    def rows_per_label(self, split: str) -> dict[int | None, int]:
        """Rows of each class of a split; None counts the unlabeled ones."""
        return _summed((file.partition.label, file.rows) for file in self.files if file.partition.split == split)

    def rows_per_slide(self, split: str) -> dict[str, int]:
        """Rows of each slide of a split."""
        return _summed((file.partition.slide_id, file.rows) for file in self.files if file.partition.split == split)

    @property
    def splits(self) -> list[str]:
        """Names of the splits that have rows."""
        return sorted({file.partition.split for file in self.files if file.rows})


def partition_of(path: str) -> Partition:
    """Split, slide and label of a file of the table.

    Raises:
        UsageError: the path does not follow `split=S/slide_id=I/label=L/NAME.parquet`.
    """
    found = _LAYOUT.search(path)
    if found is None or not (found["label"] == UNLABELED or found["label"].isdecimal()):
        raise UsageError(
            f"{path} does not lie in split=…/slide_id=…/label=…/: it is no file of a patch table, move it away"
        )
    return Partition(found["split"], found["slide"], None if found["label"] == UNLABELED else int(found["label"]))


def open_table(uri: str) -> PatchTable:
    """Read the paths and footers of a patch table.

    Args:
        uri: the output of the tile job, a local folder or any URL that fsspec knows.

    Raises:
        UsageError: there are no patches, or they are not of one recipe and of this schema version.
    """
    store = Store(uri)
    filesystem = store.fs
    _refuse_pickles(path for path in store.files("patches") if path.endswith("_metadata"))
    paths = [path for path in published_files(store, "patches") if path.endswith(".parquet")]
    if not paths:
        raise UsageError(f"{uri} has no patches in {uri}/patches: give the --out of a finished `histospark tile`")
    partitions = [partition_of(path) for path in paths]
    with ThreadPoolExecutor(_FOOTER_READERS) as pool:
        footers = list(pool.map(lambda path: _footer(filesystem, path), paths))
    _check_versions(paths, footers)
    _check_one_recipe(uri, footers)
    return PatchTable(
        uri=uri,
        filesystem=filesystem,
        recipe_id=_entry(footers[0], FOOTER_RECIPE_ID),
        recipe_json=_entry(footers[0], FOOTER_RECIPE),
        images=_image_columns(paths, footers),
        files=tuple(
            PatchFile(path, partition, tuple(footer.row_group(i).num_rows for i in range(footer.num_row_groups)))
            for path, partition, footer in zip(paths, partitions, footers, strict=True)
        ),
    )


def check_recipe(table: PatchTable, recipe: Recipe) -> None:
    """Refuse to train by one recipe on patches cut by another.

    Raises:
        UsageError: names the settings that differ.
    """
    if table.recipe_id == recipe.recipe_id and len(table.images) == len(recipe.tiling.scales):
        return
    cut_by = Recipe.model_validate_json(table.recipe_json)
    cut, asked = cut_by.tiling.model_dump(mode="json"), recipe.tiling.model_dump(mode="json")
    differing = [f"tiling.{key} ({cut[key]} there, {asked[key]} here)" for key in asked if cut[key] != asked[key]]
    if cut_by.seed != recipe.seed:
        differing.append(f"seed ({cut_by.seed} there, {recipe.seed} here)")
    raise UsageError(
        f"the patches of {table.uri} were cut by recipe {table.recipe_id}, this is recipe {recipe.recipe_id}: "
        f"{', '.join(differing) or 'its image columns differ'}; train by the recipe of the table, or tile again"
    )


def check_trainable(table: PatchTable, classes: int = 2) -> None:
    """Refuse a table whose splits cannot be trained on or validated honestly.

    Args:
        table: to train on.
        classes: how many the recipe has; their labels are 0 to `classes - 1`.

    Raises:
        UsageError: a split is empty or has unlabeled slides, a label is none of the recipe's, `train` lacks a class,
            `validation` has a single one, or a slide stands in two splits.
    """
    _check_disjoint(table)
    for split in table.splits:
        _check_known(table, split, classes)
    for split, least in (("train", classes), ("validation", 2)):
        _check_labeled(table, split)
        found = _labels(table, split)
        if not found:
            raise UsageError(
                f"{table.uri} has no rows in the split {split}: give it slides in tiling.splits or the manifest's "
                "column `split`, and tile again"
            )
        if len(found) < least:
            lacking = sorted(set(range(classes)) - set(found))
            raise UsageError(
                f"{table.uri} has only patches of label {_listed(found)} in the split {split}, none of "
                f"{_listed(lacking)}: move slides that have them there (tiling.splits), and tile again"
            )


def _labels(table: PatchTable, split: str) -> list[int]:
    return sorted(label for label, rows in table.rows_per_label(split).items() if rows and label is not None)


def _check_known(table: PatchTable, split: str, classes: int) -> None:
    unknown = [label for label in _labels(table, split) if label >= classes]
    if unknown:
        raise UsageError(
            f"{table.uri} has patches of label {_listed(unknown)} in the split {split}, but the recipe's {classes} "
            f"classes have the labels 0 to {classes - 1}: train by the recipe that cut them, or tile again"
        )


def _check_disjoint(table: PatchTable) -> None:
    splits: dict[str, set[str]] = {}
    for file in table.files:
        splits.setdefault(file.partition.slide_id, set()).add(file.partition.split)
    for slide, names in splits.items():
        if len(names) > 1:
            raise UsageError(
                f"slide {slide} of {table.uri} stands in the splits {' and '.join(sorted(names))}: remove its folder "
                "from all but one, or tile again"
            )


def _check_labeled(table: PatchTable, split: str) -> None:
    unlabeled = [
        file.partition.slide_id
        for file in table.files
        if file.partition.split == split and file.partition.label is None and file.rows
    ]
    if unlabeled:
        raise UsageError(
            f"slide {unlabeled[0]} in the split {split} of {table.uri} has no label: annotate it, list it in "
            "tiling.labels.normal_slides if it holds no tumor, or move it to another split, and tile again"
        )


def _check_versions(paths: Sequence[str], footers: Sequence[pq.FileMetaData]) -> None:
    for path, footer in zip(paths, footers, strict=True):
        refuse_other_version(footer.metadata, path)


def _check_one_recipe(uri: str, footers: Sequence[pq.FileMetaData]) -> None:
    recipes = sorted({_entry(footer, FOOTER_RECIPE_ID) for footer in footers})
    if len(recipes) > 1:
        raise UsageError(f"{uri} mixes patches of the recipes {', '.join(recipes)}: tile again with one of them")


def _image_columns(paths: Sequence[str], footers: Sequence[pq.FileMetaData]) -> tuple[str, ...]:
    first = [name for name in footers[0].schema.names if _IMAGE_COLUMN.fullmatch(name)]
    wanted = [f"image_{scale}" for scale in range(max(len(first), 1))]
    for path, footer in zip(paths, footers, strict=True):
        missing = [name for name in ("patch_id", *wanted) if name not in footer.schema.names]
        if missing:
            raise UsageError(f"{path} has no column {missing[0]}: it was not written by `histospark tile`; tile again")
    return tuple(wanted)


def _footer(filesystem: AbstractFileSystem, path: str) -> pq.FileMetaData:
    try:
        with filesystem.open(path) as file:
            return pq.read_metadata(file)
    except pa.ArrowInvalid as error:
        raise UsageError(f"{path} is no Parquet file ({error}): remove it and tile its slide again") from error


def _refuse_pickles(paths: Iterable[str]) -> None:
    for path in paths:
        raise UsageError(
            f"{path} may hold a pickled object, which petastorm would execute: HistoSpark writes no such file; "
            "find out who did, and delete it"
        )


def _entry(footer: pq.FileMetaData, key: bytes) -> str:
    return str((footer.metadata or {}).get(key, b"unknown").decode())


def _listed(labels: Iterable[int]) -> str:
    return " and ".join(map(str, labels))


def _summed(pairs: Iterable[tuple[_Key, int]]) -> dict[_Key, int]:
    total: Counter[_Key] = Counter()
    for key, rows in pairs:
        total[key] += rows
    return dict(total)
