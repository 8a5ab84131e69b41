"""CAMELYON16 (Ehteshami Bejnordi et al. 2017): slides known by their names, XML, `reference.csv`.

The folders do not matter, so that the layouts of GigaDB, of the challenge and of its mirror on AWS are one.
"""

import re
from typing import Final

from cluster.errors import UsageError
from preprocessing.datasets.listing import Folder, Listing, some

LEFT_OUT: Final = {
    "normal_086": "it holds tumor, though it is called normal",
    "normal_144": "it holds tumor, though it is called normal",
    "test_049": "it is a second scan of another slide",
    "test_114": "its annotation is not complete",
}
REFERENCE: Final = "reference.csv"
_SLIDE: Final = re.compile(r"(?:.*/)?((normal|tumor|test)_\d{3})\.tif", re.IGNORECASE)
_ANNOTATION: Final = re.compile(r"(?:.*/)?((?:tumor|test)_\d{3})\.xml", re.IGNORECASE)


def listed(folder: Folder) -> Listing:
    """All slides but those of `LEFT_OUT`; `test_*` are the split `test`, the others are for the recipe to split.

    A test slide is normal or tumor by `reference.csv` alone: without that file nobody knows, since a missing annotation
    may be a missing file.

    Raises:
        UsageError: there is no slide, or a tumor slide lacks its annotation.
    """
    found = {match[1].lower(): match for match in map(_SLIDE.fullmatch, folder.names) if match}
    if not found:
        raise UsageError(f"{folder.store.uri} holds no slide of CAMELYON16, such as normal_001.tif")
    drawn = {match[1].lower(): folder.uri(match[0]) for match in map(_ANNOTATION.fullmatch, folder.names) if match}
    reference = _reference(folder)
    rows, undrawn = [], []
    for slide_id, match in found.items():
        kind = match[2].lower()
        label = reference.get(slide_id) if kind == "test" else kind
        if slide_id in LEFT_OUT:
            continue
        if label == "tumor" and slide_id not in drawn:
            undrawn.append(slide_id)
        rows.append(
            {
                "slide_id": slide_id,
                "path": folder.uri(match[0]),
                "annotation": drawn.get(slide_id),
                "split": "test" if kind == "test" else None,
                "label": label,
            }
        )
    if undrawn:
        raise UsageError(
            f"no XML annotation of {some(sorted(undrawn))}: unpack lesion_annotations.zip beside the slides"
        )
    notes = [f"{slide_id} is left out: {why}" for slide_id, why in LEFT_OUT.items() if slide_id in found]
    if not reference and any(row["split"] == "test" for row in rows):
        notes.append(f"no {REFERENCE}: test slides without annotation stay unlabeled")
    return Listing(rows, tuple(notes))


def _reference(folder: Folder) -> dict[str, str]:
    """Normal or tumor of the test slides, by name; empty where the file is not there."""
    name = folder.named(REFERENCE)
    if name is None:
        return {}
    labels = {}
    for slide_id, label, *_ in folder.table(name):
        if label.lower() not in ("normal", "tumor"):
            raise UsageError(f"{folder.uri(name)} calls {slide_id} '{label}', neither Normal nor Tumor: fetch it anew")
        labels[slide_id.lower().removesuffix(".tif")] = label.lower()
    return labels
