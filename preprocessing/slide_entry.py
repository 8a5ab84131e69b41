"""What is known of a slide before it is opened."""

from dataclasses import dataclass
from typing import Final

SPLITS: Final = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class SlideEntry:
    """One slide and what is known of it before it is opened.

    Attributes:
        slide_id: unique name.
        path: of the slide file: absolute, or a URI where it does not lie on a local file system.
        annotation: path of its polygons, if any.
        mask: path of its mask image, if any.
        patient_id: groups slides; splits never cut through one.
        split: train, validation or test.
        is_normal: known to hold no tumor.
        fingerprint: changes when any of its files, its split, its patient, its stratum, its label, its mpp or its quota
            changes.
        mpp: micrometers per level-0 pixel, by the manifest.
        stratum: of the stratified draw of splits, by the manifest.
        max_normals: most normals that are kept of it; None sets no limit.
        is_tumor: known to hold tumor, by the manifest's label.
        file_bytes: size of the slide file when it was listed; 0 where nobody looked, or it was not there.
        word: the manifest's label, as it is written there.
        label: of all its patches, where the recipe labels whole slides and the manifest has a label for this one.
    """

    slide_id: str
    path: str
    annotation: str | None = None
    mask: str | None = None
    patient_id: str = ""
    split: str = ""
    is_normal: bool = False
    fingerprint: str = ""
    mpp: float | None = None
    stratum: str | None = None
    max_normals: int | None = None
    is_tumor: bool = False
    file_bytes: int = 0
    word: str | None = None
    label: int | None = None
