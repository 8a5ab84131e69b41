"""What a directly read slide says of itself, by the rules of OpenSlide, without opening OpenSlide.

`proof` holds the result against OpenSlide's once per slide; workers, which open a slide often, take it from here.
"""

from contextlib import suppress

import numpy as np

from preprocessing.readers.base import SlideInfo
from preprocessing.readers.tiff_directory import Directory, TiffFile
from preprocessing.readers.tile_index import APERIO, DESCRIPTION, GENERIC, TileLevel, is_aperio

_X_RESOLUTION, _RESOLUTION_UNIT = 282, 296
_MICROMETERS = {2: 25400.0, 3: 10000.0}  # in an inch, in a centimeter


def slide_info(file: TiffFile, first: Directory, levels: tuple[TileLevel, ...]) -> SlideInfo:
    """The facts about a slide, from its first directory and its levels."""
    aperio = is_aperio(file, first)
    said = _aperio_properties(file.text(first, DESCRIPTION)) if aperio else {}
    finest = levels[0]
    return SlideInfo(
        level_sizes=tuple((level.width, level.height) for level in levels),
        downsamples=tuple((finest.width / level.width + finest.height / level.height) / 2 for level in levels),
        mpp=_number(said.get("MPP")) if aperio else _mpp_by_resolution(file, first),
        objective_power=_number(said.get("AppMag")),
        vendor=APERIO if aperio else GENERIC,
    )


def _aperio_properties(description: str) -> dict[str, str]:
    """The parts `name = value` of an Aperio description, which bars set apart."""
    pairs = (part.split("=", 1) for part in description.split("|")[1:] if "=" in part)
    return {name.strip(): value.strip() for name, value in pairs}


def _mpp_by_resolution(file: TiffFile, directory: Directory) -> float | None:
    tag = directory.get(_X_RESOLUTION)
    micrometers = _MICROMETERS.get(file.number(directory, _RESOLUTION_UNIT, 2))
    if tag is None or tag.count != 2 or tag.dtype[1:] != "u4" or micrometers is None:
        return None
    numerator, denominator = file.values(tag).tolist()
    if not numerator or not denominator:
        return None
    return micrometers / float(np.float32(numerator / denominator))  # libtiff keeps resolutions as float32


def _number(text: str | None) -> float | None:
    with suppress(ValueError):  # no number: not known
        value = float((text or "").replace(",", "."))
        return value if 0 < value < float("inf") else None
    return None
