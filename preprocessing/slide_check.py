"""A look at one slide, for people: does it open, can it be read, how is it stored, what will make trouble in a job."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from preprocessing.errors import SlideError
from preprocessing.labels import open_truth
from preprocessing.points import holds_points, read_points
from preprocessing.readers.base import Reader, SlideInfo
from preprocessing.readers.opening import ReaderChoice, choose_reader, open_slide
from preprocessing.readers.staged import staged
from preprocessing.readers.tiff_directory import Directory, TiffFile
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels

_WIDTH, _HEIGHT, _COMPRESSION, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 259, 322, 323  # tags of TIFF 6.0
_COMPRESSIONS: Final = {1: "uncompressed", 5: "LZW", 7: "JPEG", 8: "Deflate", 32946: "Deflate", 50001: "WebP"}
_COMPRESSIONS.update(dict.fromkeys((33003, 33005, 34712), "JPEG 2000"))
_PLAUSIBLE_MPP: Final = (0.05, 20.0)  # from an oil immersion lens to a macro scan
_LARGE: Final = 1e8  # pixels; more, and a slide wants lower levels


@dataclass(frozen=True)
class Inspection:
    """What was found out about a slide.

    Attributes:
        entry: its path, and what stands beside it.
        info: what it says of itself; None where it does not open.
        mpp: micrometers per level-0 pixel: the manifest's, else the slide's; None where neither says.
        choice: how a job will read it; None where it does not open.
        storage: tile size and compression of level 0; empty where not known.
        problems: what is odd, each with its remedy; the slide can still be used.
        error: why it cannot be used at all.
    """

    entry: SlideEntry
    info: SlideInfo | None = None
    mpp: float | None = None
    choice: ReaderChoice | None = None
    storage: str = ""
    problems: tuple[str, ...] = ()
    error: str | None = None


def inspect_slide(entry: SlideEntry) -> Inspection:
    """Open a slide and what stands beside it as a job would, and read a pixel of every level.

    Memory: a tile or two and the annotation, or all of a flat image.
    """
    info, choice, mpp = None, None, entry.mpp
    try:
        choice = choose_reader(entry.path)
        with open_slide(entry.path, choice) as slide:
            info = slide.info
            mpp = entry.mpp or info.mpp
            _read_every_level(slide)
        with staged(entry.path) as copy:
            storage = _storage(copy.path, info)
    except SlideError as error:
        return Inspection(entry, info, mpp, choice, error=str(error))
    return Inspection(entry, info, mpp, choice, storage, (*problems_of(info, mpp), *_problems_beside(entry, info)))


def problems_of(info: SlideInfo, mpp: float | None) -> list[str]:
    """What a job may stumble over.

    Args:
        info: of the slide.
        mpp: micrometers per level-0 pixel, None where nobody says.
    """
    problems = []
    if mpp is None:
        problems.append(
            "nothing says the mpp; for scales by mpp and areas in mm2 add a column mpp to the manifest, or set "
            "tiling.mpp in the recipe, or give tiling.scales by level"
        )
    elif not _PLAUSIBLE_MPP[0] <= mpp <= _PLAUSIBLE_MPP[1]:
        problems.append(f"an mpp of {mpp:.4g} is that of no scanner; correct it by a column mpp in the manifest")
    elif info.objective_power and not 5 <= mpp * info.objective_power <= 20:  # about 10 for every lens
        problems.append(
            f"an mpp of {mpp:.4g} and an objective of {info.objective_power:g} do not go together (40 goes with about "
            "0.25); find out which is right, and correct the mpp by a column mpp in the manifest"
        )
    if len(info.level_sizes) == 1 and info.width * info.height > _LARGE:
        problems.append("it has only one level, so every overview reads all of it; convert it to a pyramid")
    return problems


def _problems_beside(entry: SlideEntry, info: SlideInfo) -> Iterator[str]:
    """Whether annotation and mask belong to the slide, each by itself."""
    for beside in (replace(entry, mask=None), replace(entry, annotation=None)):
        try:
            if beside.annotation is not None and holds_points(beside.annotation):
                read_points(beside.annotation, Labels(), info.width, info.height)
                continue
            with open_truth(beside, info, 1.0, Labels()):
                pass  # opening is the check
        except SlideError as error:
            yield f"{error} (as recipes read it that leave tiling.labels as it is)"


def _read_every_level(slide: Reader) -> None:
    for level in range(len(slide.info.level_sizes)):
        slide.read(level, 0, 0, 1, 1)


def _storage(path: str, info: SlideInfo) -> str:
    """Tiles and compression of a TIFF whose first directory is level 0."""
    try:
        with TiffFile(path) as file:
            first = file.directories()[0]
            size = (file.number(first, _WIDTH), file.number(first, _HEIGHT))
            return _stored(file, first) if size == info.level_sizes[0] else ""
    except SlideError:  # no TIFF, or an odd one: not known
        return ""


def _stored(file: TiffFile, first: Directory) -> str:
    code = file.number(first, _COMPRESSION, 1)
    compression = _COMPRESSIONS.get(code, f"compression {code}")
    tile = (file.number(first, _TILE_WIDTH), file.number(first, _TILE_HEIGHT))
    return f"tiles of {tile[0]} x {tile[1]} px, {compression}" if all(tile) else f"stored in strips, {compression}"
