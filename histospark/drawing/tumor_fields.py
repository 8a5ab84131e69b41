"""Fields of a growing tumor: crowded nuclei, some of them dividing, and dark ones that only look so."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from histospark.drawing.nuclei import TUMOR, TUMOR_DARK, Kind, lattice, sprites, stamp
from histospark.drawing.planes import Plane, noise
from histospark.drawing.stain import develop, draw_stain
from histospark.drawing.tissue import soften

MITOSIS: Final = Kind((9, 13), (2.2, 3.6), 0.16, (2.6, 3.4), 0.0, 0.10, 0)
"""A plate of chromosomes: long, black, ragged, without a membrane."""
APOPTOSIS: Final = Kind((5, 7), (1.0, 1.15), 0.02, (2.4, 3.2), 0.0, 0.05, 0)
"""A dying cell: as black, yet small and round."""

_SPRITES: Final = 60
_APART: Final = 170.0  # pixels between neighbors of those sown, about: closer ones would be one cluster
_HALO: Final = 22.0  # pixels of clear cytoplasm around a dividing cell


@dataclass(frozen=True, eq=False)
class Field:
    """A painted field.

    Attributes:
        pixels: (side, side, 3) uint8, RGB at 0.25 um per pixel.
        mitoses: (n, 2) int32 of x, y, their middles.
    """

    pixels: NDArray[np.uint8]
    mitoses: NDArray[np.int32]


def paint_field(
    rng: np.random.Generator,
    where: NDArray[np.bool_],
    per_mm2: float,
    lookalikes_per_mm2: float = 60,
    spacing: float = 42,
) -> Field:
    """Paint tumor in a region, and glass around it.

    Args:
        rng: source of chance.
        where: (side, side) bool, the tissue; at 0.25 um per pixel.
        per_mm2: dividing cells per mm² of tissue, about.
        lookalikes_per_mm2: dying cells.
        spacing: distance of neighboring nuclei, pixels.
    """
    side = len(where)
    for_stain, for_nuclei, for_eosin, for_places, for_light = rng.spawn(5)
    places = lattice(for_places, where, _APART, 0.12)
    places = places[((places > 40) & (places < side - 40)).all(axis=1)]  # whole ones only
    kinds = for_places.choice(3, len(places), p=_shares(len(places), where, per_mm2, lookalikes_per_mm2))
    mitoses = places[kinds == 1]
    purple = np.where(where, 0.07 + 0.03 * noise(for_nuclei, side, 40), 0).astype(np.float32)
    for kind, apart in ((TUMOR, spacing), (TUMOR_DARK, 3.2 * spacing)):
        stamp(purple, sprites(for_nuclei, kind, _SPRITES), lattice(for_nuclei, where, apart, 0.12), for_nuclei)
    _clear(purple, mitoses)
    for kind, number in ((MITOSIS, 1), (APOPTOSIS, 2)):
        stamp(purple, sprites(for_nuclei, kind, _SPRITES), places[kinds == number], for_nuclei)
    edge = soften(where, side)
    pink = (0.42 + 0.06 * noise(for_eosin, side, 30) + 0.07 * noise(for_eosin, side, 5)).astype(np.float32)
    stain = draw_stain(for_stain)
    layers = [(np.maximum(purple, 0) * edge, stain.hematoxylin), (np.maximum(pink, 0.05) * edge, stain.eosin)]
    return Field(develop(for_light, stain, layers), mitoses.astype(np.int32))


def _shares(places: int, where: NDArray[np.bool_], *per_mm2: float) -> list[float]:
    """Of the places: how many have nothing, and how many each of what is sown."""
    area = float(where.sum()) * (0.25e-3) ** 2
    shares = [min(0.45, wanted * area / max(places, 1)) for wanted in per_mm2]
    return [1 - sum(shares), *shares]


def _clear(plane: Plane, places: NDArray[np.int32]) -> None:
    """Take the nuclei away around some places, in place."""
    reach = int(_HALO) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kept = np.hypot(x, y) > _HALO
    for left, top in (places - reach).tolist():
        part = plane[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
        np.minimum(part, np.where(kept, part, np.float32(0.07)), out=part)
