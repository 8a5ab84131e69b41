"""The limit: every tissue tile of a slide decoded once and encoded once, in a plain loop on one core, and nothing else.

    python -m benchmarks.limit SLIDE.tif TILES.npy

Answers requests as `sessions` says (what a request says is not looked at): the plain bytes of the tiles are in the page
cache, the offsets are known, no table is written.
"""

import json
import mmap
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import simplejpeg
import tifffile

from benchmarks.sessions import ANSWER, Session

QUALITY, SUBSAMPLING = 90, "420"


def decode_and_encode(data: mmap.mmap, places: Sequence[tuple[int, int]]) -> int:
    """Do the work; returns the bytes of all encoded tiles."""
    written = 0
    for offset, size in places:
        pixels = simplejpeg.decode_jpeg(data[offset : offset + size], "RGB")
        written += len(simplejpeg.encode_jpeg(pixels, QUALITY, "RGB", SUBSAMPLING))
    return written


def main(slide: Path, tiles: Path) -> None:
    """Answer requests until the input ends.

    Args:
        slide: TIFF of whole JPEG tiles.
        tiles: (n,) numbers of its tiles at level 0, raster order.
    """
    with tifffile.TiffFile(slide) as tiff:
        page = tiff.pages[0]
        numbers = np.load(tiles, allow_pickle=False).tolist()
        places = [(page.dataoffsets[number], page.databytecounts[number]) for number in numbers]
    with slide.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for _ in sys.stdin:
            started = time.perf_counter()
            decode_and_encode(data, places)
            seconds = time.perf_counter() - started
            print(ANSWER + json.dumps({"seconds": seconds, "tiles": len(places)}), flush=True)


def limit_session(slide: Path, tiles: Path, cores: int, work: Path) -> Session:
    """The loop, ready for requests."""
    return Session([sys.executable, "-m", "benchmarks.limit", slide, tiles], cores, work)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
