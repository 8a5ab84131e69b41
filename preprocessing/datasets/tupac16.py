"""TUPAC16 (Veta et al. 2019): slides `TUPAC-TR-NNN.svs`, and `training_ground_truth.csv`, line n for slide n.

A line has the proliferation score by mitoses (1, 2 or 3), and one from gene expression, and there is no header.
"""

import re
from typing import Final

from cluster.errors import UsageError
from preprocessing.datasets.listing import Folder, Listing, some

SCORES: Final = "training_ground_truth.csv"
_SLIDE: Final = re.compile(r"(?:.*/)?(TUPAC-(TR|TE)-(\d{3}))\.svs")


def listed(folder: Folder) -> Listing:
    """The training slides, labeled by their score, which is their stratum, too; those of the test have no scores.

    Raises:
        UsageError: no list of scores, a line that is no score, or a slide without one.
    """
    found = [match for match in map(_SLIDE.fullmatch, folder.names) if match]
    scores = _scores(folder)
    training = {int(match[3]): match for match in found if match[2] == "TR"}
    unscored = sorted(match[1] for number, match in training.items() if number not in scores)
    if not training or unscored:
        what = f"no score of {some(unscored)}" if training else "no slide like TUPAC-TR-001.svs"
        raise UsageError(f"{folder.store.uri}: {what}: {SCORES} has {len(scores)} lines, one a slide; fetch both anew")
    rows = [
        {"slide_id": match[1], "path": folder.uri(match[0]), "label": scores[number], "stratum": scores[number]}
        for number, match in training.items()
    ]
    missing = [f"TUPAC-TR-{number:03d}" for number in scores if number not in training]
    notes = [f"{len(missing)} slides with a score are not there: {some(missing)}"] if missing else []
    if len(found) > len(training):
        notes.append(
            f"{len(found) - len(training)} slides of the test set (TUPAC-TE) are left out: nobody has their scores"
        )
    return Listing(rows, tuple(notes))


def _scores(folder: Folder) -> dict[int, str]:
    """The score by mitoses of each slide, by its number."""
    name = folder.named(SCORES)
    if name is None:
        raise UsageError(f"{folder.store.uri} holds no {SCORES}: fetch it from the challenge")
    scores = {}
    for number, (score, *_) in enumerate(folder.table(name), 1):
        if score not in ("1", "2", "3"):
            raise UsageError(f"{folder.uri(name)}: line {number} begins with '{score}', no score of 1, 2 or 3")
        scores[number] = score
    return scores
