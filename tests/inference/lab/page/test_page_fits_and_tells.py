"""The page as a whole: it fits the screen, says when the server is gone, and all that can be pressed has a name."""

import re
from typing import Literal

from playwright.sync_api import Browser, expect

from inference.lab.app import STATIC
from tests.inference.lab.page.conftest import SIZE, PaintedLab
from tests.inference.lab.page.opened import Opened

# What sticks out of the screen or out of its own box.
_CUT_OFF = """() => {
  const all = 'header *, #slides .find :not(.unseen), #inspector button, #inspector label, .zoom *';
  const sticksOut = it => {
    const [box, style] = [it.getBoundingClientRect(), getComputedStyle(it)];
    const clips = it.matches('button, label') || (style.overflowX !== 'visible' && style.textOverflow !== 'ellipsis');
    return box.left < -1 || box.right > innerWidth + 1 || box.top < -1
      || (clips && it.clientWidth > 0 && it.scrollWidth > it.clientWidth + 1);
  };
  const seen = [...document.querySelectorAll(all)].filter(it => it.checkVisibility({ visibilityProperty: true }));
  const wrong = seen.filter(sticksOut).map(it => it.outerHTML.slice(0, 80));
  return document.documentElement.scrollWidth > innerWidth ? [...wrong, 'the page scrolls sideways'] : wrong;
}"""


def test_nothing_is_cut_off(opened: Opened) -> None:
    page = opened.open(slide="tumor_02")
    for width, height in [(1280, 800), (1920, 1080), (1024, 768), (768, 1024), (400, 800)]:
        page.set_viewport_size({"width": width, "height": height})
        opened.rest()
        assert page.evaluate(_CUT_OFF) == [], width
        stage = page.locator("#stage").bounding_box()
        assert stage is not None
        assert stage["height"] > height / 3
        assert page.locator("#lesions button").first.is_visible()


def test_on_a_tablet_the_list_is_a_drawer(opened: Opened) -> None:
    opened.page.set_viewport_size({"width": 768, "height": 1024})
    page = opened.open(slide="tumor_02")
    button = page.get_by_role("button", name="Slides")
    assert not page.locator("#list").is_visible()
    assert button.get_attribute("aria-expanded") == "false"
    button.click()
    page.locator("#list li").filter(has_text="slide_9").click()
    expect(page.locator("#list")).to_be_hidden()
    expect(page.locator("#facts dd").first).to_have_text("slide_9")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.locator("#stage").click(position={"x": 600, "y": 300})
    expect(page.locator("#list")).to_be_hidden()
    opened.rest()


def test_everything_that_can_be_pressed_has_a_name(opened: Opened) -> None:
    page = opened.open(slide="tumor_02")
    tree = page.locator("body").aria_snapshot()
    unnamed = [
        line
        for line in tree.splitlines()
        if re.search(r"- (button|checkbox|slider|combobox|searchbox|link)(:|$| \[)", line)
    ]
    assert unnamed == []
    assert (
        page.locator("[style]:not(.openseadragon-container *, #viewer, #viewer *, i, #scale-bar, #legend *)").count()
        == 0
    )
    inline = re.findall(r"<script(?![^>]*src=)|<style| on\w+=| style=", (STATIC / "index.html").read_text())
    assert inline == []


def test_all_modules_are_fetched_at_once() -> None:
    named = re.findall(r'rel="modulepreload" href="static/([^"]+)"', (STATIC / "index.html").read_text())
    assert sorted([*named, "main.js"]) == sorted(path.name for path in STATIC.glob("*.js"))


def test_a_lost_server_is_told_and_found_again(browser: Browser, lab: PaintedLab) -> None:
    page = browser.new_page(viewport=SIZE)
    it = Opened(page, lab.url)
    it.open(slide="tumor_02")
    page.route("**/*", lambda route: route.abort())
    page.keyboard.press("j")
    expect(page.locator("#lost")).to_contain_text("does not answer")
    expect(page.locator("#message p")).to_have_text("The lab's server does not answer.")
    page.unroute("**/*")
    expect(page.locator("#lost")).to_be_hidden(timeout=10_000)
    expect(page.locator("#facts dd").first).to_have_text("slide_10")
    expect(page.locator("#message")).to_be_hidden()
    page.close()


def test_tiles_that_cannot_be_read_are_told(browser: Browser, lab: PaintedLab) -> None:
    page = browser.new_page(viewport=SIZE)
    answer = {"status": 410, "json": {"error": "tumor_02.tif is damaged there"}}
    page.route("**/tiles/10/**", lambda route: route.fulfill(**answer))
    page.goto(f"{lab.url}/#slide=tumor_02")
    expect(page.locator("#notice")).to_have_text("A part of this slide cannot be read: tumor_02.tif is damaged there")
    page.close()


def test_a_link_to_no_slide_is_told(browser: Browser, lab: PaintedLab) -> None:
    page = browser.new_page(viewport=SIZE)
    page.goto(f"{lab.url}/#slide=%3Cb%3Egone")
    expect(page.locator("#message h2")).to_have_text("This slide cannot be shown")
    expect(page.locator("#message p")).to_have_text("this run has no slide '<b>gone'")
    assert page.locator("#list li").count() == 6
    assert not page.get_by_role("button", name="Zoom in").is_visible()
    page.close()


def test_dark_and_light_follow_the_system(opened: Opened) -> None:
    page = opened.open(slide="slide_9")
    grounds = []
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        grounds.append(page.evaluate("getComputedStyle(document.getElementById('slides')).backgroundColor"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(30, 28, 35)"]
