"""CBIS-DDSM (Lee et al. 2017) as published: four lists of cases, and a folder for each mammogram and each region.

A line of `{mass,calc}_case_description_{train,test}_set.csv` is one region; its first folder names the mammogram
(`Mass-Training_P_00001_LEFT_CC`), or the region (`…_CC_1`). What the lists say of file names does not hold: the
archives were renamed since, and mask and cut-out of a region are swapped in some. So the folders are looked up, and of
a region's files the one that is as large as the mammogram is its mask.

A view that has masses and calcifications stands in two lists, in two folders with the same film. It is one mammogram
here, with the regions of both: else the one folder's mass would be background of the other.
"""

import io
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from cluster.errors import UsageError
from preprocessing.datasets.listing import Folder, some
from preprocessing.mammograms.gray_image import ENDINGS

LABELS: Final[Mapping[tuple[str, bool], int]] = {
    ("calcification", False): 1,
    ("calcification", True): 2,
    ("mass", False): 3,
    ("mass", True): 4,
}
"""By kind, and whether it is malignant: the label in the mask. 0 is background."""
_LIST: Final = re.compile(r"(?:.*/)?(?:mass|calc)_case_description_(?:train|test)_set\.csv", re.IGNORECASE)
_VIEW: Final = ("patient_id", "left or right breast", "image view")
_NEEDED: Final = (*_VIEW, "abnormality type", "pathology", "image file path", "ROI mask file path")


@dataclass(frozen=True)
class Region:
    """A marked region.

    Attributes:
        files: URIs of its mask and of its cut-out; which is which the sizes tell.
        label: of `LABELS`.
    """

    files: tuple[str, ...]
    label: int


@dataclass(frozen=True)
class Mammogram:
    """One image and what is known of it.

    Attributes:
        slide_id: name of its folder; of two with the same view the first.
        path: URI of the image.
        patient_id: of whom it is.
        regions: at least one.
    """

    slide_id: str
    path: str
    patient_id: str
    regions: tuple[Region, ...]

    @property
    def malignant(self) -> bool:
        """Whether any of its regions is."""
        return any(region.label in (2, 4) for region in self.regions)


def listed_mammograms(folder: Folder) -> list[Mammogram]:
    """All mammograms of the lists that are there, sorted by name.

    Memory: 200 bytes a file, on the driver.

    Raises:
        UsageError: no list, another list than published, or a folder that a list names is not there.
    """
    files = _by_folder(folder)
    regions: dict[tuple[str, ...], list[Region]] = defaultdict(list)
    cases: dict[tuple[str, ...], str] = {}
    missing = []
    for line in _lines(folder):
        image, mask = (_first_folder(line[column]) for column in ("image file path", "ROI mask file path"))
        missing += [name for name in (image, mask) if name not in files]
        kind = (str(line["abnormality type"]).strip().lower(), str(line["pathology"]).strip().upper() == "MALIGNANT")
        if kind not in LABELS:
            told = line["abnormality type"]
            raise UsageError(f"{image} has a region of type '{told}', neither mass nor calcification: correct the list")
        region = Region(tuple(folder.uri(name) for name in files.get(mask, ())), LABELS[kind])
        view = tuple(line[column].strip().upper() for column in _VIEW)
        regions[view].append(region)
        cases[view] = min(image, cases.get(view, image))
    if missing:
        raise UsageError(f"{folder.store.uri} has no images in {some(sorted(set(missing)))}: fetch what is missing")
    return [
        Mammogram(name, folder.uri(_only(files[name], folder)), view[0], tuple(regions[view]))
        for view, name in sorted(cases.items(), key=lambda case: case[1])
    ]


def _lines(folder: Folder) -> list[dict[str, str]]:
    names = [name for name in folder.names if _LIST.fullmatch(name)]
    if not names:
        raise UsageError(f"{folder.store.uri} holds no list like mass_case_description_train_set.csv of CBIS-DDSM")
    lines = []
    for name in names:
        table = pd.read_csv(io.BytesIO(folder.store.read_bytes(name)), dtype=str, keep_default_na=False)
        absent = [column for column in _NEEDED if column not in table.columns]
        if absent:
            raise UsageError(f"{folder.uri(name)} has no column '{absent[0]}': fetch it anew")
        lines += [{str(key): str(value) for key, value in row.items()} for row in table.to_dict("records")]
    return lines


def _by_folder(folder: Folder) -> dict[str, list[str]]:
    """The images below each folder that may be a case's or a region's, by the name of that folder."""
    files = defaultdict(list)
    for name in folder.names:
        if name.lower().endswith(ENDINGS):
            for part in name.split("/")[:-1]:
                files[part].append(name)
    return dict(files)


def _first_folder(path: str) -> str:
    return path.strip().strip('"').split("/")[0].strip()


def _only(names: list[str], folder: Folder) -> str:
    if len(names) > 1:
        raise UsageError(f"{folder.uri(names[0])} is not alone: a mammogram's folder holds one image; remove the other")
    return names[0]
