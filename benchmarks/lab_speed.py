"""How quickly the lab shows a slide: tiles over HTTP against the same tiles cut in process, and the first view.

    python -m benchmarks.lab_speed [SLIDE] [--rounds 5]

The run has 400 slides in its ledger, all of them SLIDE: a mosaic of real tissue where the test data lies beside the
project, else a drawn slide of 16384 px. The lab is `histospark lab` in a process of its own. Every tile is asked for
once, so none comes from the lab's store. The limit is OpenSlide's DeepZoomGenerator and libjpeg-turbo in one process,
without a server, for the same tiles in the same order. Heat tiles are of a pixel for 8 x 8 of the slide.

The first view is measured in headless Chromium with an empty cache: from opening the link until every tile of the
whole slide is drawn, the list of 400 slides beside it.
"""

import io
import json
import math
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import httpx
import numpy as np
import openslide
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
import tifffile
from openslide.deepzoom import DeepZoomGenerator

from benchmarks.big_slides import Slides
from benchmarks.options import common_options
from benchmarks.ours import TILES_256
from benchmarks.pairs import Spread
from benchmarks.report import say
from cluster.storage import Store
from inference.assemble import PYRAMID, SCORE
from inference.run_folder import CARD
from inference.scores import SCORE_SCHEMA
from preprocessing import ledger
from preprocessing.recipe_file import load_recipe, save_recipe
from preprocessing.slide_entry import SlideEntry

MOSAIC = Path(__file__).parents[2] / "shared" / "data" / "mosaic" / "tumor_101.tif"
SLIDES, TILE, DOWNSAMPLE, QUALITY = 400, 256, 8, 85
TILE_BAR, VIEW_BAR = 50.0, 1000.0  # milliseconds
_FINEST_LEVELS = 5  # of deep zoom, whose tiles are asked for

# Until the page's own viewer has all tiles of the slide, and a frame was drawn since.
_VIEW_IS_THERE = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const slide = () => globalThis.OpenSeadragon?.getViewer('viewer')?.world?.getItemAt(0);
  while (!slide()?.getFullyLoaded()) await frame();
  await frame();
  return performance.now();
}"""
_FIRST_TILE = """() => Math.min(...performance.getEntriesByType('resource')
  .filter(it => it.name.includes('/tiles/')).map(it => it.responseEnd))"""

Ask = Callable[[str], object]


def slide_names() -> list[str]:
    """Of the run."""
    return [f"slide_{number:03d}" for number in range(SLIDES)]


def make_run(folder: Path, slide: Path) -> Path:
    """A run of `SLIDES` slides, all with a score and a heatmap."""
    shutil.rmtree(folder, ignore_errors=True)
    store, names = Store(str(folder)), slide_names()
    store.write_bytes(json.dumps({"model_id": "none"}).encode(), CARD)
    save_recipe(load_recipe(str(TILES_256)), str(folder))
    outcomes = [ledger.Outcome(SlideEntry(name, str(slide)), "done", patches=1000) for name in names]
    ledger.append(store, "infer", outcomes, "r-none", ledger.latest(store, "infer"))
    for name in names:
        row = {"slide_id": name, "score": random.random(), "lesions": 0, "model_id": "none", "engine": "none"}
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([row], SCORE_SCHEMA), buffer)
        store.write_bytes(buffer.getvalue(), SCORE.format(name))
    with openslide.OpenSlide(slide) as opened:
        width, height = (math.ceil(side / DOWNSAMPLE) for side in opened.dimensions)
    write_heat(folder / PYRAMID.format(names[0]), (width, height))
    for name in names[1:]:
        shutil.copyfile(folder / PYRAMID.format(names[0]), folder / PYRAMID.format(name))
    return folder


def write_heat(path: Path, size: tuple[int, int]) -> None:
    """A heatmap of waves, `DOWNSAMPLE` level-0 pixels a pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    down, across = np.ogrid[: size[1], : size[0]]
    level = np.rint(128 + 127 * np.sin(across / 40) * np.cos(down / 30)).astype(np.uint8)
    says: str | None = json.dumps({"histospark": "heatmap", "downsample": DOWNSAMPLE})
    with tifffile.TiffWriter(path) as file:
        while True:
            tiles = {"tile": (TILE, TILE), "compression": "adobe_deflate", "photometric": "minisblack"}
            file.write(level, **tiles, description=says, metadata=None, subfiletype=int(says is None))
            if max(level.shape) <= TILE:
                return
            padded = np.pad(level, [(0, side % 2) for side in level.shape])
            level = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2).max(axis=(1, 3))
            says = None


@contextmanager
def lab(run: Path) -> Iterator[str]:
    """`histospark lab`, started; yields its link without a slash at the end."""
    command = [str(Path(sys.executable).with_name("histospark")), "lab", "--run", str(run), "--port", "0"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            told = next((line for line in process.stdout or () if "http://" in line), "")
            found = re.search(r"http://\S+", told)
            if found is None:
                raise click.ClickException("the lab did not start; see above")
            yield found.group().rstrip("/")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def milliseconds(ask: Ask, addresses: Sequence[str]) -> list[float]:
    """How long each takes, one after the other."""
    taken = []
    for address in addresses:
        started = time.perf_counter()
        ask(address)
        taken.append(1000 * (time.perf_counter() - started))
    return taken


def tile_addresses(zoom: DeepZoomGenerator) -> list[str]:
    """Tiles of the finest levels in random order, always the same."""
    levels = range(max(0, zoom.level_count - _FINEST_LEVELS), zoom.level_count)
    places = [(level, *zoom.level_tiles[level]) for level in levels]
    every = [f"{level}/{x}_{y}" for level, columns, rows in places for x in range(columns) for y in range(rows)]
    return random.Random(7).sample(every, len(every))


def in_process(slide: Path) -> Ask:
    """The limit: the same tile, cut and encoded here."""
    zoom = DeepZoomGenerator(openslide.OpenSlide(slide), TILE, overlap=0)

    def cut(address: str) -> bytes:
        level, column, row = (int(part) for part in re.split("[/_]", address))
        pixels = np.ascontiguousarray(np.asarray(zoom.get_tile(level, (column, row))))
        return simplejpeg.encode_jpeg(pixels, QUALITY, "RGB", "444")

    return cut


def over_http(url: str, form: str) -> Ask:
    """A tile from the lab; `form` has `{}` where the level, column and row go."""
    client = httpx.Client(base_url=url)

    def ask(address: str) -> bytes:
        return client.get(form.format(address)).raise_for_status().content

    return ask


def compare_tiles(run: Path, slide: Path, rounds: int) -> None:
    """Print tiles of the slide, in turn with the limit, and heat tiles."""
    with openslide.OpenSlide(slide) as opened:
        addresses = tile_addresses(DeepZoomGenerator(opened, TILE, overlap=0))
    share = min(200, len(addresses) // (rounds + 1))
    ours: list[list[float]] = []
    limit: list[list[float]] = []
    with lab(run) as url:
        over = over_http(url, f"/slides/{slide_names()[0]}/tiles/{{}}.jpg")
        for number in range(rounds + 1):
            mine = addresses[number * share : (number + 1) * share]
            ways = [(ours, over), (limit, in_process(slide))]
            for kept, way in ways if number % 2 else reversed(ways):
                kept.append(milliseconds(way, mine))
    tell_tiles("slide tile over HTTP", ours[1:], share, TILE_BAR)  # the first round warms the files
    tell_tiles("the same in process, no server", limit[1:], share)
    medians = zip(ours[1:], limit[1:], strict=True)
    say("over HTTP / in process", Spread.of([statistics.median(a) / statistics.median(b) for a, b in medians]))


def heat_tiles(run: Path, rounds: int) -> None:
    """Print heat tiles, of another slide in every round."""
    taken = []
    with lab(run) as url:
        for name in slide_names()[: rounds + 1]:
            levels = httpx.get(f"{url}/api/slides/{name}").json()["heat"]["levels"]
            counts = [(math.ceil(width / TILE), math.ceil(height / TILE)) for width, height in levels]
            every = [f"{level}/{x}_{y}" for level, (w, h) in enumerate(counts) for x in range(w) for y in range(h)]
            taken.append(milliseconds(over_http(url, f"/slides/{name}/heat/{{}}.png"), every))
    tell_tiles("heat tile over HTTP", taken[1:], len(taken[0]), TILE_BAR)


def first_views(run: Path, rounds: int) -> None:
    """Print how long it takes from opening the link until the slide is seen."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        say("first view", "not measured: there is no chromium on this machine")
        return
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  (the tiles need no browser)

    first, whole = [], []
    with lab(run) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(rounds + 1):
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.goto(url)
            whole.append(float(page.evaluate(_VIEW_IS_THERE)))
            first.append(float(page.evaluate(_FIRST_TILE)))
            page.context.close()
        browser.close()
    say("first tile has come", f"{Spread.of(first[1:])} ms")
    say("first view, every tile drawn", judged(Spread.of(whole[1:]), VIEW_BAR))


def tell_tiles(what: str, taken: Sequence[Sequence[float]], count: int, bar: float | None = None) -> None:
    """Median and 95th percentile over the rounds."""
    middle = Spread.of([statistics.median(it) for it in taken])
    high = Spread.of([float(np.percentile(it, 95)) for it in taken])
    say(f"{what}, median", f"{middle} ms, {count} a round" if bar is None else judged(middle, bar))
    say(f"{what}, 95th percentile", f"{high} ms")


def judged(taken: Spread, most: float) -> str:
    """A time with its bar, which it has to stay below."""
    return f"{taken} ms, bar {most:g}: {'met' if taken.middle < most else 'NOT MET'}"


@click.command()
@common_options
@click.argument("slide", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--rounds", default=5, show_default=True, help="Counted rounds of every way.")
def main(cache: Path, slide: Path | None, rounds: int) -> None:
    """Print milliseconds a tile and until the first view."""
    path = slide or (MOSAIC if MOSAIC.exists() else Slides(cache).big(1)[0])
    run = make_run(cache / "work" / "lab", path.resolve())
    click.echo(f"the lab on {path.name} in a run of {SLIDES} slides; median of rounds (lowest to highest)")
    compare_tiles(run, path, rounds)
    heat_tiles(run, rounds)
    first_views(run, rounds)
    shutil.rmtree(run)


if __name__ == "__main__":
    main()
