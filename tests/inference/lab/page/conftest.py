"""One run painted by hand, one lab over it and one Chromium, which all tests of the page share."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import tifffile
from playwright.sync_api import Browser, BrowserContext, ViewportSize

from inference.lab.app import lab_app
from inference.lab.run_view import RunView
from preprocessing.recipe import Recipe
from tests.browser import chromium
from tests.inference.lab.making import served
from tests.inference.lab.page.opened import Opened
from tests.inference.lab.page.painted_run import PaintedSlide, write_run

HOSTILE = """<img src=x onerror=alert(1)> "50%" #1 & 'ü'"""
SCRIPT = "<script>document.title='hit'"
REASON = "<b>no slide</b> that any reader opens"
SIZE: ViewportSize = {"width": 1100, "height": 620}  # small, as Chromium draws without help here


@dataclass(frozen=True)
class PaintedLab:
    """Where the lab is served, and what it has to show, by slide id."""

    url: str
    slides: dict[str, PaintedSlide] = field(repr=False)


def _large(path: Path) -> PaintedSlide:
    """1536 x 1536 with an annotation: three lesions at different probabilities, the rest low, some not judged."""
    heat = np.full((192, 192), 1 + 51, np.uint8)  # 0.2
    heat[:40] = 0
    heat[60:90, 30:70] = 1 + 230
    heat[120:150, 120:170] = 1 + 178  # 0.7008
    heat[160:176, 20:36] = 1 + 140  # 0.5512
    lesions = [(400, 600, 230 / 254), (1160, 1080, 178 / 254), (224, 1344, 140 / 254)]
    return PaintedSlide("tumor_02", path, 8, heat, lesions, 0.25)


def _odd(folder: Path) -> PaintedSlide:
    """Glass whose sides halve to nothing even, without a resolution; the heatmap is as fine as the slide."""
    path = folder / "odd.tif"
    with tifffile.TiffWriter(path) as file:
        glass = np.full((1001, 1203, 3), 244, np.uint8)
        file.write(glass, tile=(256, 256), photometric="rgb", compression="jpeg")
    heat = np.full((1001, 1203), 1, np.uint8)
    heat[300:421, 500:733] = 255
    heat[901:, 1101:] = 255  # to the last pixel
    return PaintedSlide(HOSTILE, path, 1, heat, [(616, 360, 1.0)], None)


def _plain(slide_id: str, path: Path, value: int, area_mm2: float) -> PaintedSlide:
    heat = np.full((64, 64), value, np.uint8)
    lesions = [(512, 512, (value - 1) / 254)] if value > 128 else []
    return PaintedSlide(slide_id, path, 16, heat, lesions, area_mm2)


@pytest.fixture(scope="package")
def lab(drawn: Path, small: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaintedLab]:
    """Four slides done (`tumor_02`, the hostile one, `slide_10`, `slide_9`), one failed, one empty."""
    folder = tmp_path_factory.mktemp("page")
    done = [
        *(_large(drawn / "tumor_02.tif"), _odd(folder)),
        *(_plain("slide_10", drawn / "tumor_01.tif", 201, 0.5), _plain("slide_9", drawn / "normal_01.tif", 101, 0.0)),
    ]
    write_run(folder / "out", small, done, {SCRIPT: REASON}, {"glass_01": drawn / "normal_01.tif"})
    with served(lab_app(RunView(str(folder / "out")))) as url:
        yield PaintedLab(url, {slide.slide_id: slide for slide in done})


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def calm(browser: Browser) -> Iterator[BrowserContext]:
    """A browser whose user wants no animations, so that nobody waits for them; pages share its cache."""
    with browser.new_context(viewport=SIZE, reduced_motion="reduce") as context:
        yield context


@pytest.fixture
def opened(calm: BrowserContext, lab: PaintedLab) -> Iterator[Opened]:
    """A page of its own for each test; at the end the browser must have had nothing to complain of."""
    page = calm.new_page()
    it = Opened(page, lab.url)
    yield it
    page.close()
    assert it.said == []
    assert [url for url in it.asked if not url.startswith((lab.url + "/", "data:"))] == []
