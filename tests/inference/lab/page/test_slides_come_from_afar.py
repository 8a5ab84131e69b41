"""The page over slides on S3: it says that one is being fetched, and shows it when it is here."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openslide
import pytest
from numpy.typing import NDArray
from playwright.sync_api import BrowserContext, expect

from cluster.storage import Store
from inference.lab.app import lab_app
from inference.lab.run_view import RunView
from preprocessing.recipe import Recipe
from tests.cluster.s3_server import S3Server
from tests.cluster.tables_elsewhere import stored
from tests.inference.lab.making import bare_run, served
from tests.inference.lab.page.opened import Opened

NOISE = 5.0  # mean difference of gray levels of squares: JPEG, and the browser may draw half a pixel beside
SQUARE = 8


@pytest.fixture
def url(s3: S3Server, drawn: Path, small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A lab over a run there whose one slide lies there, too."""
    monkeypatch.setenv("HISTOSPARK_CACHE", str(tmp_path / "cache"))
    slides, out = Store(f"{s3.uri}/{tmp_path.name}/slides"), Store(f"{s3.uri}/{tmp_path.name}/run")
    slides.write_bytes((drawn / "tumor_01.tif").read_bytes(), "tumor_01.tif")
    run = bare_run(tmp_path / "run", small, {"tumor_01": f"{slides.uri}/tumor_01.tif"}, {})
    with served(lab_app(RunView(stored(run, out).uri))) as url:
        yield url


def test_page_tells_that_a_slide_is_fetched_and_then_shows_the_view_asked_for(
    calm: BrowserContext, url: str, drawn: Path
) -> None:
    page = calm.new_page()
    opened = Opened(page, url)
    page.goto(f"{url}/#slide=tumor_01&x=512&y=500&zoom=1&heat=0&truth=0&marks=0")
    message = page.locator("#message")
    expect(message.locator("h2")).to_have_text("Fetching this slide")
    expect(message.locator("p")).to_contain_text("is being fetched from s3; it shows as soon as it is here")
    expect(message).to_be_hidden(timeout=60_000)
    opened.rest()
    seen = opened.picture()
    top, left = seen.shape[0] // 2 - 200, seen.shape[1] // 2 - 200
    with openslide.OpenSlide(drawn / "tumor_01.tif") as slide:
        region = slide.read_region((512 - 200, 500 - 200), 0, (400, 400)).convert("RGB")
    differ = squares(seen[top : top + 400, left : left + 400]) - squares(np.asarray(region, np.int16))
    assert np.abs(differ).mean() < NOISE
    assert opened.said == []
    page.close()


def squares(picture: NDArray[np.int16]) -> NDArray[np.float64]:
    """Means of squares of (400, 400, 3)."""
    side = 400 // SQUARE
    return picture.reshape(side, SQUARE, side, SQUARE, 3).mean(axis=(1, 3))
