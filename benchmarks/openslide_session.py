"""The camelyon16 recipe as a loop over OpenSlide reads in raster order: see `sessions`.

    python -m benchmarks.openslide_session PROCESSES CHOSEN.npz

Every window of the grid is read once at scale 0 and judged by the gray rule; a chosen one is read at scale 1, too, and
both are encoded. Which ones are chosen is known beforehand (`CHOSEN.npz`: slide_id to (n, 2) scale-0 pixels), so this
peer needs no draw and no second pass, which is to its favor. Slides are shared out among processes that stay.
"""

import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import BinaryIO

import numpy as np
import openslide
import simplejpeg
from PIL import Image

from benchmarks.sessions import ANSWER
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe

RECIPE = Path(__file__).parent.parent / "conf" / "camelyon16.yaml"


def tile_slide(path: Path, chosen: set[tuple[int, int]], recipe: Recipe, out: Path) -> int:
    """Tile one slide into one file of JPEGs, one after the other.

    Args:
        path: of the slide.
        chosen: windows to be kept, scale-0 pixels.
        recipe: two scales by level.
        out: file to write.

    Returns:
        Number of patches; each has an image at both scales.
    """
    tiling = recipe.tiling
    levels = [scale.level or 0 for scale in tiling.scales]
    side, patches, judged = tiling.window, 0, 0
    with openslide.OpenSlide(path) as slide, out.open("wb") as file:
        width, height = slide.level_dimensions[levels[0]]
        fine, coarse = (slide.level_downsamples[level] for level in levels)
        steps = (range(0, extent - side + 1, tiling.stride) for extent in (height, width))
        for y, x in product(*steps):
            pixels = slide.read_region((round(x * fine), round(y * fine)), levels[0], (side, side)).convert("RGB")
            judged += _is_tissue(pixels, tiling.tissue.max_gray, tiling.tissue.min_fraction)
            if (x, y) not in chosen:
                continue
            patches += 1
            _write(file, pixels, tiling.image.quality, tiling.image.subsampling)
            corner = [int((place + side / 2) * fine / coarse) - side // 2 for place in (x, y)]
            at_0 = (round(corner[0] * coarse), round(corner[1] * coarse))
            around = slide.read_region(at_0, levels[1], (side, side)).convert("RGB")
            _write(file, around, tiling.image.quality, tiling.image.subsampling)
    if chosen and judged == 0:
        raise ValueError(f"{path}: patches were chosen where the gray rule finds no tissue at all")
    return patches


def _is_tissue(pixels: Image.Image, max_gray: float, min_fraction: float) -> bool:
    gray = np.asarray(pixels.convert("L"))
    return bool(np.count_nonzero(gray <= max_gray * 255) > min_fraction * gray.size)


def _write(file: BinaryIO, pixels: Image.Image, quality: int, subsampling: str) -> None:
    file.write(simplejpeg.encode_jpeg(np.asarray(pixels), quality, "RGB", subsampling))


def main(processes: int, chosen: Path) -> None:
    """Answer requests until the input ends."""
    recipe = load_recipe(str(RECIPE))
    with np.load(chosen, allow_pickle=False) as stored:
        windows = {name: {(int(x), int(y)) for x, y in stored[name]} for name in stored.files}
    with ProcessPoolExecutor(processes) as pool:
        for line in sys.stdin:
            request = json.loads(line)
            started = time.perf_counter()
            out = Path(request["out"])
            out.mkdir(parents=True)
            paths = sorted(Path(request["slides"]).glob("*.tif"))
            work = [pool.submit(tile_slide, p, windows.get(p.stem, set()), recipe, out / p.stem) for p in paths]
            patches = sum(future.result() for future in work)
            seconds = time.perf_counter() - started
            print(ANSWER + json.dumps({"seconds": seconds, "tiles": patches}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
