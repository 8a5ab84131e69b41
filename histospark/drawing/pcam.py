"""A small PatchCamelyon, drawn: the nine files of the published layout, cut from slides that no other split has."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histospark.drawing.planes import inside
from histospark.drawing.shapes import plan
from histospark.drawing.slides import paint
from preprocessing.hashing import stable_hash

SIDE: Final = 96  # of a patch, pixels
CENTER: Final = 32  # one tumor pixel in there makes it positive
LEVEL: Final = 2  # of the slides, whose level 0 has 0.25 um per pixel
_PREFIX: Final = "camelyonpatch_level_2_split_"
_WHITEST: Final = 225  # mean of a patch that shows tissue, and not glass alone
_TRIES: Final = 200  # per patch, before a slide is given up

SLIDES: Final[Mapping[str, int]] = {"train": 6, "valid": 2, "test": 2}


@dataclass(frozen=True)
class _Cut:
    pixels: NDArray[np.uint8]
    label: int
    any_tumor: bool
    x: int
    y: int
    wsi: str


def draw_pcam(
    folder: Path, seed: int, patches: int = 128, slides: Mapping[str, int] = SLIDES, side: int = 2048
) -> None:
    """Draw the collection; the same arguments give the same patches.

    Args:
        folder: where the files go; made where it is missing.
        seed: source of all chance.
        patches: of every slide, half of them with tumor in their center.
        slides: of every split, by the names of the published files.
        side: width and height of a slide, level-0 pixels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in slides.items():
        names = [f"drawn_{split}_{number:02d}" for number in range(count)]
        cuts = [cut for name in names for cut in _cuts(name, stable_hash(name, seed), patches, side)]
        order = np.random.default_rng(stable_hash(split, seed)).permutation(len(cuts))
        _write(folder, split, [cuts[place] for place in order])


def _cuts(wsi: str, seed: int, patches: int, side: int) -> Iterator[_Cut]:
    for_plan, for_paint, for_places = np.random.default_rng(seed).spawn(3)
    outlines = plan(for_plan, side, 3, 0)
    shrink = 2**LEVEL
    small = side // shrink
    image = paint(for_paint, outlines).reshape(small, shrink, small, shrink, 3).mean((1, 3)).round().astype(np.uint8)
    tumor = inside(outlines.lesions, side, LEVEL)
    for wanted in np.arange(patches) % 2:
        for _ in range(_TRIES):
            x, y = (int(place) for place in for_places.integers(0, small - SIDE, 2))
            window, truth = image[y : y + SIDE, x : x + SIDE], tumor[y : y + SIDE, x : x + SIDE]
            edge = (SIDE - CENTER) // 2
            if truth[edge:-edge, edge:-edge].any() == wanted and window.mean() < _WHITEST:
                yield _Cut(window, int(wanted), bool(truth.any()), x * shrink, y * shrink, wsi)
                break


def _write(folder: Path, split: str, cuts: list[_Cut]) -> None:
    labels = np.array([cut.label for cut in cuts], np.uint8)
    meta = pd.DataFrame(
        {
            "coord_y": [cut.y for cut in cuts],
            "coord_x": [cut.x for cut in cuts],
            "tumor_patch": [cut.any_tumor for cut in cuts],
            "center_tumor_patch": labels.astype(bool),
            "wsi": [cut.wsi for cut in cuts],
        }
    )
    meta.to_csv(folder / f"{_PREFIX}{split}_meta.csv")
    with h5py.File(folder / f"{_PREFIX}{split}_x.h5", "w") as file:
        file.create_dataset("x", data=np.stack([cut.pixels for cut in cuts]), chunks=True, compression="gzip")
    with h5py.File(folder / f"{_PREFIX}{split}_y.h5", "w") as file:
        file.create_dataset("y", data=labels.reshape(-1, 1, 1, 1))
