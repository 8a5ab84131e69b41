"""The lab's page in a browser, as a test uses it: open a view, wait until it rests, look at pixels."""

import io
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page

# Nothing moves, every layer that is seen has its tiles, the address stays: all that for longer than the page waits
# for its user to rest.
_REST = """async () => {
  const long = 180; // ms
  const state = () => {
    const viewer = window.OpenSeadragon?.getViewer('viewer');
    if (!viewer?.world.getItemCount()) return null;
    const layers = [...Array(viewer.world.getItemCount()).keys()].map(index => viewer.world.getItemAt(index));
    const { zoomSpring, centerSpringX, centerSpringY } = viewer.viewport;
    const still = [zoomSpring, centerSpringX, centerSpringY].every(it => it.current.value === it.target.value);
    const ready = layers.every(it => it.getFullyLoaded() || (it.getOpacity() === 0 && !it.getPreload()));
    const shown = layers.map(it => it.source.getTileUrl(0, 0, 0) + it.getOpacity());
    return still && ready ? `${location.hash} ${shown}` : null;
  };
  let [before, since] = [null, 0];
  for (;;) {
    const now = state();
    if (now === null || now !== before) [before, since] = [now, performance.now()];
    if (now !== null && performance.now() - since > long) return;
    await new Promise(requestAnimationFrame);
  }
}"""
_SHOW_ONLY_THE_SLIDE = """() => {
  for (const it of document.querySelectorAll('.zoom, .reading, .navigator, #notice')) it.style.visibility = 'hidden';
}"""


class Opened:
    """A page of the lab.

    Attributes:
        page: Playwright's.
        asked: addresses that it asked for.
        said: what the browser complained of.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page, self._url = page, url
        self.asked: list[str] = []
        self.said: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        # OpenSeadragon warns where a slide is left before its tiles are there; only errors count.
        page.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(dialog.message))

    def open(self, **view: object) -> Page:
        """Open a view and wait until it is all there."""
        self.page.goto(f"{self._url}/#{urlencode(view)}")
        self.rest()
        return self.page

    def rest(self) -> None:
        """Wait until nothing moves or loads any more."""
        self.page.evaluate(_REST)

    def picture(self) -> NDArray[np.int16]:
        """What is seen of the slide: (h, w, 3) int16, a screen pixel each; buttons and bars are left out."""
        self.page.evaluate(_SHOW_ONLY_THE_SLIDE)
        box = self.page.locator("#stage").bounding_box()
        assert box is not None
        image = self.page.screenshot(clip=box, caret="initial")  # hiding the caret takes a style, which is forbidden
        return np.asarray(Image.open(io.BytesIO(image)).convert("RGB"), np.int16)

    def middle(self) -> tuple[float, float]:
        """Of the slide's part of the page, screen pixels from the page's top left."""
        box = self.page.locator("#stage").bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def shown(self) -> list[str]:
        """Ids in the list, from the top."""
        return self.page.locator("#list .name").all_text_contents()

    def tiles(self, kind: str) -> list[str]:
        """Addresses of tiles that were asked for: `tiles` or `heat`."""
        return [url for url in self.asked if f"/{kind}/" in url]


def places(
    picture: NDArray[np.int16], x: float, y: float, zoom: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Level-0 x of each column and y of each row of a picture whose middle is at x, y.

    Args:
        picture: (h, w, 3), a screen pixel each.
        x, y: level-0 pixels.
        zoom: screen pixels per level-0 pixel.
    """
    height, width = picture.shape[:2]
    columns = x + (np.arange(width) + 0.5 - width / 2) / zoom
    rows = y + (np.arange(height) + 0.5 - height / 2) / zoom
    return columns, rows
