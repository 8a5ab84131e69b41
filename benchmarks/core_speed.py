"""Tiles per second on one core, without Spark: our core against the ways of others.

    python -m benchmarks.core_speed [SLIDE] [--rounds 5]

The work: find the tissue (gray rule) and encode its 256 px tiles at level 0, stride 256, as JPEG of quality 90. Peers:

* DeepZoom, slide reopened for every tile, Pillow (the way of CODAIT's deep-histopath);
* one open slide, `read_region` tile by tile, libjpeg-turbo.
"""

import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np
import openslide
import simplejpeg
from openslide.deepzoom import DeepZoomGenerator
from PIL import Image

from benchmarks.ours import TILES_256
from benchmarks.pairs import Run, in_turn, measured, ratio, timed
from benchmarks.report import say
from histospark.drawing import draw_slide
from preprocessing.crops import encoded_at_scales
from preprocessing.grid import Grid, blocks
from preprocessing.readers.opening import open_slide
from preprocessing.recipe_file import load_recipe
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.scales import resolve_scales
from preprocessing.survey import unit_candidates
from preprocessing.tissue_judge import tissue_judge

SIDE = 256
_GRAY = ("tiling.tissue.method=gray", "tiling.tissue.min_fraction=0.75")


def our_core(path: str) -> list[bytes]:
    """Judging and cutting of every block, as a Spark worker does them; the choice of the reader included."""
    tiling = load_recipe(str(TILES_256), _GRAY).tiling
    judge, tiles = tissue_judge(tiling.tissue, None), []
    with open_slide(path) as slide:
        scaled = ScaledSlide(slide, resolve_scales(slide.info, slide.info.mpp, tiling))
        grid = Grid(SIDE, SIDE)
        every = blocks(grid, slide.info.width, slide.info.height, tiling.block)
        for found in unit_candidates(scaled, grid, every, None, judge, tiling, _nothing):
            for encoded in encoded_at_scales(scaled, found.origins, tiling, None):
                tiles += encoded
    return tiles


def every_origin(path: str) -> list[tuple[int, int]]:
    """All positions of the grid: the peers, too, have to find the tissue."""
    with openslide.OpenSlide(path) as slide:
        width, height = slide.dimensions
    return [(x, y) for y in range(0, height - SIDE + 1, SIDE) for x in range(0, width - SIDE + 1, SIDE)]


def has_tissue(tile: Image.Image) -> bool:
    """The same gray rule, by Pillow's histogram."""
    histogram = tile.convert("L").histogram()
    return sum(histogram[: int(0.8 * 255) + 1]) > 0.75 * SIDE**2


def reopened_deepzoom(path: str) -> list[bytes]:
    """deep-histopath's way: the slide is opened for every tile."""
    tiles = []
    for x, y in every_origin(path):
        with openslide.OpenSlide(path) as slide:
            zoom = DeepZoomGenerator(slide, tile_size=SIDE, overlap=0, limit_bounds=False)
            tile = zoom.get_tile(zoom.level_count - 1, (x // SIDE, y // SIDE))
        if has_tissue(tile):
            buffer = io.BytesIO()
            tile.save(buffer, "JPEG", quality=90)
            tiles.append(buffer.getvalue())
    return tiles


def single_reads(path: str) -> list[bytes]:
    """One open slide, one read per tile, libjpeg-turbo."""
    tiles = []
    with openslide.OpenSlide(path) as slide:
        for x, y in every_origin(path):
            tile = slide.read_region((x, y), 0, (SIDE, SIDE)).convert("RGB")
            if has_tissue(tile):
                tiles.append(simplejpeg.encode_jpeg(np.asarray(tile), 90, "RGB", "420"))
    return tiles


def _timed_on(path: str, way: Callable[[str], Sequence[bytes]]) -> Callable[[], Run]:
    return lambda: timed(lambda: len(way(path)))


def _nothing() -> None:
    """Nobody watches for a sign of life here."""


@click.command()
@click.argument("slide", required=False)
@click.option("--rounds", default=5, show_default=True, help="Counted runs of every way.")
def main(slide: str | None, rounds: int) -> None:
    """Print tiles per second and ratios; without SLIDE on a drawn one."""
    with tempfile.TemporaryDirectory() as folder:
        path = slide or str(draw_slide(Path(folder), "benchmark", seed=1, side=4096, lesions=3).path)
        ways = {
            "ours": our_core,
            "slide reopened per tile, Pillow": reopened_deepzoom,
            "single reads, libjpeg-turbo": single_reads,
        }
        counts = {name: len(way(path)) for name, way in ways.items()}
        if len(set(counts.values())) > 1:
            raise click.ClickException(f"the ways keep different numbers of tiles: {counts}")
        runs = in_turn({name: _timed_on(path, way) for name, way in ways.items()}, rounds)
        click.echo(f"{path}: {counts['ours']} tissue tiles of {SIDE} px, one core; median (lowest to highest)")
        for name in ways:
            say(name, f"{measured(runs, name).rate} tiles/s")
            if name != "ours":
                say(f"ours / {name}", ratio(measured(runs, "ours"), measured(runs, name)))


if __name__ == "__main__":
    main()
