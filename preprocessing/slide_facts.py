"""What a job found out about a slide before it worked on it: the file, its reader, its resolution, its stain."""

from dataclasses import dataclass

from preprocessing.readers.base import SlideInfo


@dataclass(frozen=True)
class SlideFacts:
    """How a slide was read, for the ledger.

    Attributes:
        info: what the slide says of itself.
        reader: name of the reader that was chosen: direct, openslide or flat.
        reader_note: why no faster reader was chosen; empty where none is faster.
        mpp: micrometers per level-0 pixel that the job used; None where nobody knows and all scales are levels.
        mpp_source: who said so: manifest, slide or recipe; None without mpp.
        requested_mpp: of each scale, micrometers per pixel; None where a scale is given by level.
        effective_mpp: of each scale, micrometers per pixel of what was stored; empty without mpp.
        stain: profile of the slide's stain normalization; empty where there is none.
    """

    info: SlideInfo
    reader: str
    reader_note: str = ""
    mpp: float | None = None
    mpp_source: str | None = None
    requested_mpp: tuple[float | None, ...] = ()
    effective_mpp: tuple[float, ...] = ()
    stain: tuple[float, ...] = ()
