"""TUPAC16's auxiliary set: fields of view `CASE/IMAGE.tif`, and `CASE/IMAGE.csv`, a `row,column` for each mitosis.

Images lie below folders named like `mitoses_train_image_data`, the lists below one like `mitoses_train_ground_truth`.
"""

import re
from typing import Final

from cluster.errors import UsageError
from preprocessing.datasets.listing import Folder, Listing, some

MPP: Final = 0.25  # all fields were scanned at 40x
_LABORATORIES: Final = ((23, "center_1"), (48, "center_2"), (73, "center_3"))  # the last case of each
_IMAGE: Final = re.compile(r"(?:.*/)?[^/]*image[_-]data[^/]*/(?:.*/)?(\d{2})/(\d{2})\.tiff?", re.IGNORECASE)
_LIST: Final = re.compile(r"(?:.*/)?[^/]*ground[_-]truth[^/]*/(?:.*/)?(\d{2})/(\d{2})\.csv", re.IGNORECASE)


def listed(folder: Folder) -> Listing:
    """Every field of a case that has any list; one without its own was looked at, and has no mitosis.

    Fields of cases without any list are those of the test set, whose mitoses were never published: they are left out.

    Raises:
        UsageError: no images or no lists, or a list without its image.
    """
    images = {_key(match): match[0] for match in map(_IMAGE.fullmatch, folder.names) if match}
    lists = {_key(match): match[0] for match in map(_LIST.fullmatch, folder.names) if match}
    if not images or not lists:
        what = "no images (…image_data…/01/01.tif)" if not images else "no lists (…ground_truth…/01/01.csv)"
        raise UsageError(f"{folder.store.uri} holds {what} of TUPAC16's auxiliary set: unpack its archives there")
    alone = sorted(set(lists) - set(images))
    if alone:
        raise UsageError(f"no image of {some(['/'.join(key) for key in alone])}, though it has a list: fetch it anew")
    known = {case for case, _ in lists}
    rows = [
        {
            "slide_id": f"mitoses_{case}_{image}",
            "path": folder.uri(path),
            "annotation": folder.uri(lists[case, image]) if (case, image) in lists else None,
            "patient_id": case,
            "label": None if (case, image) in lists else "normal",
            "mpp": MPP,
            "stratum": _laboratory(int(case)),
        }
        for (case, image), path in images.items()
        if case in known
    ]
    bare = sum(row["annotation"] is None for row in rows)
    notes = [f"{bare} images have no list: they were looked at, and hold no mitosis"] if bare else []
    if len(rows) < len(images):
        notes.append(f"{len(images) - len(rows)} images are of cases without any list (the test set), and left out")
    return Listing(rows, tuple(notes))


def _key(match: re.Match[str]) -> tuple[str, str]:
    return match[1], match[2]


def _laboratory(case: int) -> str:
    return next((name for last, name in _LABORATORIES if case <= last), "unknown")
