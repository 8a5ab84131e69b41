"""PatchCamelyon as on Kaggle (histopathologic-cancer-detection): `train_labels.csv` and an image a patch.

Its duplicates are removed, and with them the names of the slides: what belongs to one slide is unknown, unless a
column `wsi` was added to the list. Without it patches are dealt by the hash of their id to stand-ins for slides, and a
split of these has neighbors of one slide on both sides: its figures are too good (98.6 % where the official split has
89.8 %).
"""

import io
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from cluster.errors import UsageError
from cluster.storage import Store, split_name
from preprocessing.hashing import stable_hash

LABELS: Final = "train_labels.csv"
IMAGES: Final = "train"
STAND_INS: Final = 64


def listed(folder: str) -> tuple[pd.DataFrame, tuple[str, ...], str]:
    """What the list of labels says; the images of `test/` have none and stay out.

    Args:
        folder: URI.

    Returns:
        Rows as `collection.Collection` has them, without a split, the files, and a note.

    Raises:
        UsageError: the list is not what Kaggle gives.
    """
    store = Store(folder)
    with store.fs.open(store.path(LABELS), "rb") as file:
        told = pd.read_csv(file, dtype={"id": str, "wsi": str})
    if (
        not {"id", "label"} <= set(told.columns)
        or not told["label"].isin((0, 1)).all()
        or told["id"].duplicated().any()
    ):
        raise UsageError(f"{folder}/{LABELS} is no list of ids, each once, with label 0 or 1: fetch it anew")
    has_slides = "wsi" in told.columns
    if has_slides and told["wsi"].isna().any():
        raise UsageError(f"{folder}/{LABELS} has lines without wsi: complete the column, or leave it out")
    rows = pd.DataFrame(
        {
            "slide_id": told["wsi"] if has_slides else told["id"].map(_stand_in),
            "split": "",
            "x": np.int32(-1),
            "y": np.int32(-1),
            "label": told["label"].astype("int32"),
            "file": f"{folder}/{IMAGES}/" + told["id"] + ".tif",
            "place": 0,
            "number": np.arange(len(told)),
        }
    )
    note = (
        f"{LABELS} names no slides: splits are drawn by patch, so that neighbors stand on both sides, and figures shine"
    )
    return rows, (f"{folder}/{LABELS}",), "" if has_slides else note


def read_patches(file: str, places: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The one patch of an image file.

    Args:
        file: URI.
        places: (1,), 0.

    Returns:
        (1, side, side, 3) uint8 RGB.

    Raises:
        OSError: it cannot be read.
    """
    del places
    folder, name = split_name(file)
    try:
        with Image.open(io.BytesIO(Store(folder).read_bytes(name))) as image:
            return np.asarray(image.convert("RGB"))[np.newaxis]
    except UnidentifiedImageError as error:
        raise OSError(f"{file} is no image") from error


def _stand_in(image: str) -> str:
    return f"unknown_{stable_hash('slide', image) % STAND_INS:02d}"
