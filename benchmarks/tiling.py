"""Tiles per second on one core, without Spark: our core against the ways of others.

    python -m benchmarks.tiling [SLIDE] [--runs 5]

The work: find the tissue (gray rule) and encode its 256 px tiles at level 0, stride 256, as JPEG of quality 90. Peers:

* DeepZoom, slide reopened for every tile, Pillow (the way of CODAIT's deep-histopath);
* one open slide, `read_region` tile by tile, libjpeg-turbo.
"""

import io
import statistics
import tempfile
from pathlib import Path

import click
import numpy as np
import openslide
import simplejpeg
from openslide.deepzoom import DeepZoomGenerator
from PIL import Image

from benchmarks.pairs import in_pairs
from histospark.drawing import draw_slide
from preprocessing.crops import encode, windows_at_scales
from preprocessing.grid import blocks
from preprocessing.recipe import Recipe
from preprocessing.slides import Slide
from preprocessing.survey import grid_of, survey_block

SIDE = 256
RECIPE = Recipe.model_validate(
    {
        "name": "benchmark",
        "tiling": {
            "scales": [{"level": 0}],
            "window": SIDE,
            "center": SIDE,
            "stride": SIDE,
            "image": {"quality": 90, "subsampling": "420"},
        },
        "inference": {"stride": SIDE},
    }
)


def our_core(path: str) -> list[bytes]:
    """Survey and extraction of every block, as a Spark worker does them."""
    tiling = RECIPE.tiling
    tiles = []
    with Slide(path) as slide:
        for block in blocks(grid_of(tiling), *slide.info.level_sizes[0], tiling.block):
            origins = survey_block(slide, block, None, tiling).origins
            if len(origins):
                for windows in windows_at_scales(slide, origins, tiling):
                    tiles += [encode(window, tiling.image) for window in windows]
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


@click.command()
@click.argument("slide", required=False)
@click.option("--runs", default=5, show_default=True, help="Counted runs of each way.")
def main(slide: str | None, runs: int) -> None:
    """Print tiles per second and ratios; without SLIDE on a drawn one."""
    with tempfile.TemporaryDirectory() as folder:
        path = slide or str(draw_slide(Path(folder), "benchmark", seed=1, side=4096, lesions=3).path)
        count = len(our_core(path))
        for peer in (reopened_deepzoom, single_reads):
            if len(peer(path)) != count:
                raise click.ClickException(f"{peer.__name__} keeps another number of tiles than we do")
        click.echo(f"{path}: {count} tissue tiles of {SIDE} px, {runs} runs in pairs, one core")
        for name, peer in (("slide reopened per tile, Pillow", reopened_deepzoom), ("single reads", single_reads)):
            pair = in_pairs(lambda: our_core(path), lambda peer=peer: peer(path), runs)
            ours, theirs = (count / statistics.median(seconds) for seconds in (pair.ours, pair.peer))
            click.echo(f"ours {ours:6.0f} tiles/s   {name} {theirs:6.0f} tiles/s   ratio {pair.ratio:.2f}")


if __name__ == "__main__":
    main()
