"""Heatmap and truth, pixel by pixel: where the painted run has them, there the page shows them."""

from collections.abc import Iterable

import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import maximum_filter

from inference.lab.colors import MAPS
from preprocessing.annotations import read_regions
from preprocessing.recipe import Recipe
from tests.inference.lab.page.conftest import HOSTILE, PaintedLab
from tests.inference.lab.page.opened import Opened, places
from tests.inference.lab.page.painted_run import PaintedSlide

View = tuple[float, float, float]  # x and y of the middle, level-0 pixels, and screen pixels per level-0 pixel

PLAIN = {"truth": 0, "marks": 0, "map": "turbo"}
SLIP = 2.5  # screen pixels


def on_screen(slide: PaintedSlide, least: int, picture: NDArray[np.int16], view: View) -> NDArray[np.uint8]:
    """The heatmap's value at each pixel of a picture; 0 outside and below the least that is shown."""
    j, i = (np.floor(it / slide.downsample).astype(int) for it in places(picture, *view))
    inside = ((i >= 0) & (i < slide.heat.shape[0]))[:, None] & ((j >= 0) & (j < slide.heat.shape[1]))[None]
    values = slide.heat[np.ix_(i.clip(0, slide.heat.shape[0] - 1), j.clip(0, slide.heat.shape[1] - 1))]
    return np.where(inside & (values >= least), values, 0)


def covered(one: NDArray[np.int16], other: NDArray[np.int16], values: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels of one picture are covered by more than half with the color of the values there or nearby.

    Args:
        one, other: pictures with and without the heatmap.
        values: of the heatmap on the screen. Colors fade at the rims of its pixels: half of it is where the rim is.
    """
    near = (maximum_filter(values, 49).astype(float) - 1) / 254
    way = matplotlib.colormaps["turbo"](near)[..., :3] * 255 - other
    return ((one - other) * way).sum(axis=2) > 0.5 * (way**2).sum(axis=2)


def off_by(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> int:
    """How many pixels both have to give at their rims to agree; a large number where they never do."""
    for slip in range(12):
        if not (eroded(found, slip) & ~wanted).any() and not (eroded(wanted, slip) & ~found).any():
            return slip
    return 99


def eroded(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """Pixels whose neighbors within a square all belong to the mask; the picture's rim takes nothing away."""
    for axis in (0, 1):
        padded = np.pad(mask, [(by, by) if it == axis else (0, 0) for it in (0, 1)], constant_values=True)
        mask = np.lib.stride_tricks.sliding_window_view(padded, 2 * by + 1, axis=axis).all(axis=-1)
    return mask


@pytest.mark.parametrize(
    ("slide_id", "x", "y", "zoom"),
    [("tumor_02", 768, 768, 0.4), ("tumor_02", 560, 720, 2), (HOSTILE, 600, 500, 0.45), (HOSTILE, 1150, 950, 3)],
    ids=["whole", "close", "odd sides from afar", "odd sides to the last pixel"],
)
def test_the_heatmap_lies_where_the_run_has_it(
    opened: Opened, lab: PaintedLab, slide_id: str, x: int, y: int, zoom: float
) -> None:
    view = {"slide": slide_id, "x": x, "y": y, "zoom": zoom, "opacity": 1, "threshold": 0.5, **PLAIN}
    page = opened.open(heat=1, **view)
    colored = opened.picture()
    page.keyboard.press("h")
    opened.rest()
    plain = opened.picture()
    values = on_screen(lab.slides[slide_id], 128, plain, (x, y, zoom))
    assert (values > 0).sum() > 500
    assert off_by(covered(colored, plain, values), values > 0) <= SLIP
    assert not page.locator("#heat").is_checked()
    assert "heat=0" in page.url


def test_the_threshold_hides_what_lies_below(opened: Opened, lab: PaintedLab) -> None:
    page = opened.open(slide="tumor_02", opacity=1, threshold=0.5, x=768, y=768, zoom=0.4, **PLAIN)
    before = opened.picture()
    slide_tiles = len(opened.tiles("tiles"))
    page.locator("#threshold").fill("0.8")
    opened.rest()
    after = opened.picture()
    values = on_screen(lab.slides["tumor_02"], 128, after, (768, 768, 0.4))
    hidden = np.where(values < 205, values, 0)
    assert 0 < (hidden > 0).sum() < (values > 0).sum()
    assert off_by(covered(before, after, hidden), hidden > 0) <= SLIP
    assert page.locator("#threshold-value").inner_text() == "0.80"
    assert len(opened.tiles("tiles")) == slide_tiles, "the slide itself is not loaded anew"
    page.get_by_role("button", name="back to the run's 0.50").click()
    opened.rest()
    assert off_by(covered(opened.picture(), after, hidden), hidden > 0) <= SLIP


def test_opacity_mixes_colors_with_the_slide(opened: Opened) -> None:
    page = opened.open(slide=HOSTILE, x=616, y=360, zoom=2, opacity=1, **PLAIN)
    full = opened.picture()
    middle = tuple(side // 2 for side in full.shape[:2])
    page.locator("#opacity").fill("0.5")
    opened.rest()
    half = opened.picture()
    page.locator("#heat").uncheck()
    opened.rest()
    none = opened.picture()
    top = np.asarray(matplotlib.colormaps["turbo"](1.0, bytes=True)[:3], np.int16)
    assert np.abs(full[middle] - top).max() <= 4
    assert np.abs(half[middle] - (full[middle] + none[middle]) / 2).max() <= 4


def test_the_legend_shows_the_colors_of_the_server(opened: Opened) -> None:
    page = opened.open(slide="tumor_02")
    assert page.locator("#map option").all_inner_texts() == list(MAPS)
    for name in MAPS:
        page.locator("#map").select_option(name)
        colors = page.evaluate("import('/static/colors.js').then(it => it.MAPS)")[name]
        wanted = [matplotlib.colors.to_hex(matplotlib.colormaps[name](i / 16)) for i in range(17)]
        assert colors == wanted
    assert page.locator("#legend-numbers").inner_text().split() == ["0", "0.25", "0.5", "0.75", "1"]
    opened.rest()
    assert "map=gray" in opened.tiles("heat")[-1]


def test_the_truth_is_a_thin_line_at_its_place(opened: Opened, lab: PaintedLab, small: Recipe) -> None:
    path = lab.slides["tumor_02"].path.with_suffix(".xml")
    rings = [
        ring
        for region in read_regions(str(path), small.tiling.labels)
        for polygon in region.polygons
        for ring in polygon
    ]
    x, y = (float(it) for it in np.round(rings[0].mean(axis=0)))
    for zoom in (0.4, 2):
        page = opened.open(slide="tumor_02", x=x, y=y, zoom=zoom, heat=0, truth=1, marks=0)
        outlined = opened.picture()
        page.keyboard.press("t")
        opened.rest()
        found = np.abs(outlined - opened.picture()).max(axis=2) > 40
        thin, thick = (drawn([(ring - (x, y)) * zoom for ring in rings], found, width) for width in (1, 9))
        assert (thin & ~found).sum() <= 0.02 * thin.sum()
        assert (found & ~thick).sum() <= 0.02 * found.sum()
    assert len(rings) == 3, "two lesions, one with a hole"


def drawn(rings: Iterable[NDArray[np.float64]], like: NDArray[np.bool_], thickness: int) -> NDArray[np.bool_]:
    """Rings around the middle of a picture, their lines so many pixels wide."""
    height, width = like.shape
    picture = Image.new("1", (width, height))
    middle = np.array([width, height]) / 2
    for ring in rings:
        line = np.vstack([ring, ring[:1]]) + middle
        ImageDraw.Draw(picture).line([(x, y) for x, y in line], fill=1, width=thickness, joint="curve")
    return np.asarray(picture)


def test_new_colors_replace_the_old_without_a_gap(opened: Opened) -> None:
    page = opened.open(slide=HOSTILE, x=616, y=360, zoom=2, opacity=1, **PLAIN)
    seen = page.evaluate(
        """async () => {
          const canvas = OpenSeadragon.getViewer('viewer').drawer.canvas;
          const middle = [canvas.width / 2, canvas.height / 2, 1, 1];
          const map = document.getElementById('map');
          map.value = 'gray';
          map.dispatchEvent(new Event('change'));
          const seen = [];
          while (seen.length < 2 && performance.now() < 60000) {
            const color = [...canvas.getContext('2d').getImageData(...middle).data].slice(0, 3);
            if (String(color) !== String(seen.at(-1))) seen.push(color);
            await new Promise(requestAnimationFrame);
          }
          return seen;
        }"""
    )
    wanted = [matplotlib.colormaps[name](1.0, bytes=True)[:3] for name in ("turbo", "gray")]
    assert np.abs(np.subtract(seen, np.array(wanted, int))).max() <= 4, "at no frame the bare slide is seen"
