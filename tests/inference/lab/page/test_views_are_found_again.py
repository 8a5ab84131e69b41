"""Moving about: zoom, lesions, pointer, keys, and the link that brings a view back."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.inference.lab.page.conftest import HOSTILE, PaintedLab
from tests.inference.lab.page.opened import Opened


def view_of(page: Page) -> dict[str, float]:
    """What the address says of the view."""
    found = {name: re.search(rf"[#&]{name}=([^&]+)", page.url) for name in ("x", "y", "zoom")}
    return {name: float(match[1]) for name, match in found.items() if match}


def levels(urls: list[str]) -> set[int]:
    return {int(re.search(r"/tiles/(\d+)/", url)[1]) for url in urls}  # type: ignore[index]


def test_zooming_in_loads_deeper_tiles(opened: Opened) -> None:
    page = opened.open(slide="tumor_02")
    assert max(levels(opened.tiles("tiles"))) == 10, "half of full size is enough for the whole slide"
    for _ in range(3):
        page.get_by_role("button", name="Zoom in").click()
    opened.rest()
    assert max(levels(opened.tiles("tiles"))) == 11
    close = view_of(page)["zoom"]
    page.keyboard.press("0")
    opened.rest()
    assert view_of(page) == {"x": 768, "y": 768, "zoom": pytest.approx(close / 1.5**3, rel=1e-3)}


def test_a_lesion_brings_the_view_to_its_place(opened: Opened, lab: PaintedLab) -> None:
    page = opened.open(slide="tumor_02")
    found = lab.slides["tumor_02"].lesions
    rows = page.locator("#lesions button")
    assert [text.split("\n")[:2] for text in rows.all_inner_texts()] == [["1", "0.906"], ["2", "0.701"], ["3", "0.551"]]
    for key, (x, y, _) in [("", found[1]), ("n", found[2]), ("n", found[0]), ("p", found[2])]:
        if key:
            page.keyboard.press(key)
        else:
            rows.nth(1).click()
        opened.rest()
        assert {name: view_of(page)[name] for name in "xy"} == {"x": x, "y": y}
    assert rows.nth(2).get_attribute("aria-current") == "true"


def test_a_pin_stands_on_its_lesion_and_answers_a_tap(opened: Opened) -> None:
    page = opened.open(slide="tumor_02", x=400, y=600, zoom=1, heat=0, truth=0)
    with_pins = opened.picture()
    page.keyboard.press("m")
    opened.rest()
    changed = abs(with_pins - opened.picture()).max(axis=2) > 40
    rows, columns = changed.nonzero()
    height, width = changed.shape
    assert abs(columns.mean() - width / 2) < 1.5
    assert abs(rows.max() - height / 2) < 2.5, "its tip is the place"
    page.keyboard.press("m")
    x, y = opened.middle()
    page.mouse.click(x, y - 20)
    expect(page.locator("#lesions button").first).to_have_attribute("aria-current", "true")
    opened.rest()
    assert view_of(page) == {"x": 400, "y": 600, "zoom": 1}


def test_the_pointer_reads_the_probability(opened: Opened) -> None:
    places = {
        ("tumor_02", 400, 600): "tumor 0.906 · 400, 600 px (0.100, 0.150 mm)",
        ("tumor_02", 1000, 500): "tumor 0.201 · 1,000, 500 px (0.250, 0.125 mm)",
        ("tumor_02", 1000, 200): "not judged · 1,000, 200 px (0.250, 0.050 mm)",
        (HOSTILE, 1202, 1000): "tumor 1.000 · 1,202, 1,000 px",
        (HOSTILE, 20, 20): "tumor 0.000 · 20, 20 px",
    }
    for (slide_id, x, y), said in places.items():
        page = opened.open(slide=slide_id, x=x, y=y, zoom=4)
        left, top = opened.middle()
        page.mouse.move(left + 1, top + 1)  # a quarter of a level-0 pixel further
        expect(page.locator("#pointer")).to_have_text(said)
        page.mouse.move(5, 5)
        expect(page.locator("#pointer")).to_have_text("")
    assert sum("probability" in url for url in opened.asked) == len(places)


def test_the_scale_bar_tells_the_truth(opened: Opened) -> None:
    for slide_id, zoom, text, width in [
        ("tumor_02", 0.5, "50 µm", 100),
        ("tumor_02", 2, "10 µm", 80),
        (HOSTILE, 1, "100 px", 100),
    ]:
        page = opened.open(slide=slide_id, x=600, y=600, zoom=zoom)
        assert page.locator("#scale-text").inner_text() == text
        bar = page.locator("#scale-bar").bounding_box()
        assert bar is not None
        assert bar["width"] == pytest.approx(width, abs=0.6)
        assert page.locator("#powers").is_visible() == (slide_id != HOSTILE), "no magnification without a resolution"
    lengths = page.evaluate(
        """import('/static/scalebar.js').then(({ drawScale }) => [[0.001, 0.25], [0.02, 0.25], [0.3, 0.5], [0.01, null]]
            .map(([zoom, mpp]) => (drawScale(zoom, mpp), document.getElementById('scale-text').textContent)))"""
    )
    assert lengths == ["20 mm", "1 mm", "200 µm", "10,000 px"]


def test_a_link_brings_the_whole_view_back(opened: Opened) -> None:
    page = opened.open(slide=HOSTILE)
    page.locator("#map").select_option("viridis")
    page.locator("#opacity").fill("0.35")
    page.locator("#threshold").fill("0.25")
    page.keyboard.press("t")
    page.locator("#stage").focus()  # arrows belong to a slider while it has the focus
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    opened.rest()
    link, looks = page.url, opened.picture()
    assert view_of(page)["x"] > 601.5
    page.goto("about:blank")
    page.goto(link)
    opened.rest()
    assert page.url == link
    assert page.locator("#opacity-value").inner_text() == "35 %"
    assert not page.locator("#truth").is_checked()
    assert (abs(opened.picture() - looks).max(axis=2) > 8).mean() < 1e-3, "nothing but rims, where a pixel is cut anew"


def test_a_link_within_the_page_is_followed_and_nonsense_in_it_is_not(opened: Opened) -> None:
    page = opened.open(slide="slide_9", x=1, y="", zoom="NaN", opacity=7, map="<b>", threshold=-1, heat=2)
    assert view_of(page)["x"] == 512, "the whole slide, as the view is no view"
    assert "opacity=0.5&threshold=0.5&map=turbo" in page.url
    opened.open(slide="tumor_02", x=300, y=400, zoom=2)
    assert view_of(page) == {"x": 300, "y": 400, "zoom": 2}
    assert page.locator("#facts dd").first.inner_text() == "tumor_02"


def test_the_link_is_copied_and_no_token_is_in_it(opened: Opened, lab: PaintedLab) -> None:
    page = opened.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{lab.url}/?token=secret#slide=slide_9")
    opened.rest()
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#toast")).to_have_text("The link to this view is copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.url
    assert "token" not in copied


def test_keys_pan_zoom_and_explain_themselves(opened: Opened) -> None:
    page = opened.open(slide="tumor_02", x=768, y=768, zoom=2)
    for key, (right, down) in {
        "ArrowRight": (1, 0),
        "ArrowDown": (0, 1),
        "ArrowLeft": (-1, 0),
        "ArrowUp": (0, -1),
    }.items():
        before = view_of(page)
        page.keyboard.press(key)
        opened.rest()
        after = view_of(page)
        moved = after["x"] - before["x"], after["y"] - before["y"]
        assert [(it > 1) - (it < -1) for it in moved] == [right, down], key
    page.keyboard.press("4")
    opened.rest()
    assert view_of(page)["zoom"] == pytest.approx(1, rel=1e-4), "0.25 µm per pixel is 40x"
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    assert dialog.is_visible()
    assert "heatmap on or off" in dialog.inner_text()
    page.keyboard.press("h")
    assert page.locator("#heat").is_checked(), "keys rest while the help is open"
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
