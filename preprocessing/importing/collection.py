"""A published collection of patches: what its lists say of each, and where its pixels lie."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cluster.errors import UsageError
from preprocessing.errors import SlideReadError
from preprocessing.file_states import FileStates, absolute
from preprocessing.importing import kaggle_images, pcam_files

ROWS: Final = ("slide_id", "split", "x", "y", "label", "file", "place", "number")
"""Columns of `Collection.rows`; see there."""

ReadPatches = Callable[[str, NDArray[np.int64]], NDArray[np.uint8]]
"""From a file and places in it, rising, to (n, side, side, 3) uint8 RGB; OSError where that cannot be read."""


@dataclass(frozen=True)
class Collection:
    """What a folder holds.

    Attributes:
        rows: one a patch, in the published order: the slide it is of (or a stand-in, where nobody knows), its split,
            its corner in pixels of level 0 (-1 where nobody knows), its label, the URI of the file that has it, its
            place in there, and a number that no other patch of its slide has. About 100 bytes a patch, on the driver.
        files: URIs of the files by which a changed collection is known.
        read: gets the pixels.
        note: what a person should know of it; empty where there is nothing.
    """

    rows: pd.DataFrame
    files: tuple[str, ...]
    read: ReadPatches
    note: str = ""


def open_collection(folder: str) -> Collection:
    """Find out what a folder holds, and read its lists.

    Args:
        folder: URI; of PatchCamelyon as published (`camelyonpatch_level_2_split_*`), or as on Kaggle
            (`train_labels.csv` beside `train/`).

    Raises:
        UsageError: neither, or its parts do not fit together.
    """
    folder = absolute(folder).rstrip("/")
    names = {path.rpartition("/")[2] for path in FileStates().folder(folder)}
    if any(name.startswith(pcam_files.PREFIX) for name in names):
        rows, files, note = pcam_files.listed(folder, names)
        return Collection(rows, files, pcam_files.read_patches, note)
    if kaggle_images.LABELS in names:
        rows, files, note = kaggle_images.listed(folder)
        return Collection(rows, files, kaggle_images.read_patches, note)
    raise UsageError(
        f"{folder} holds no collection of patches that is known: PatchCamelyon has {pcam_files.PREFIX}train_x.h5 and "
        f"more, its form on Kaggle {kaggle_images.LABELS} beside {kaggle_images.IMAGES}/"
    )


def refuse_other_sizes(side: int, found: Sequence[int]) -> None:
    """Make sure that patches are as large as the recipe stores them.

    Args:
        side: of the recipe, pixels.
        found: height and width of the patches.

    Raises:
        SlideReadError: they are not.
    """
    if tuple(found) != (side, side):
        raise SlideReadError(
            f"patches of {' x '.join(map(str, found))} px, where tiling.window and twice tiling.margin are {side} px"
        )
