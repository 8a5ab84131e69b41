"""The list of slides: what it says, search, sort, keyboard; no name becomes markup."""

from playwright.sync_api import expect

from tests.inference.lab.page.conftest import HOSTILE, REASON, SCRIPT
from tests.inference.lab.page.opened import Opened

HIGHEST_FIRST = [HOSTILE, "tumor_02", "slide_10", "slide_9", SCRIPT, "glass_01"]


def test_the_page_names_its_run_and_opens_the_highest_score(opened: Opened) -> None:
    page = opened.open()
    assert page.locator("#run dd").all_inner_texts()[1:] == ["painted-model", "demo", "0.5"]
    assert opened.shown() == HIGHEST_FIRST
    assert page.title() == f"{HOSTILE} · HistoSpark lab"
    assert page.locator("#count").inner_text() == "6 slides · 1 failed · 1 empty"
    assert page.locator("#report").is_hidden(), "this run has no report"


def test_a_name_is_text_wherever_it_stands(opened: Opened) -> None:
    page = opened.open(slide=HOSTILE)
    assert page.locator("#facts dd").first.inner_text() == HOSTILE
    page.locator("#list li").filter(has_text=SCRIPT).click()
    expect(page.locator("#message h2")).to_have_text("This slide failed")
    expect(page.locator("#message p")).to_contain_text(REASON)
    assert page.locator("img[src=x], #list b b, #list script, #message b").count() == 0
    assert page.title() == f"{SCRIPT} · HistoSpark lab"


def test_every_row_tells_score_lesions_and_reason(opened: Opened) -> None:
    page = opened.open()
    page.wait_for_function(
        "document.querySelector('#list li:last-child .name').checkVisibility({contentVisibilityAuto: true})"
    )
    rows = dict(zip(opened.shown(), page.locator("#list li").all_inner_texts(), strict=True))
    assert rows["tumor_02"].split() == ["tumor_02", "0.906", "3", "lesions"]
    assert rows["slide_9"].split() == ["slide_9", "0.394", "0", "lesions"]
    assert rows[SCRIPT].split("\n")[1:] == ["failed", REASON]
    assert rows["glass_01"].split("\n")[1:] == ["empty", "no tissue was found"]
    filled, bar = (page.locator("#list li").nth(1).locator(f".bar{part}").bounding_box() for part in (" i", ""))
    assert filled is not None
    assert bar is not None
    assert abs(filled["width"] / bar["width"] - 230 / 254) < 0.02


def test_sorting_leaves_unknown_values_last(opened: Opened) -> None:
    page = opened.open()
    orders = {
        "name": [HOSTILE, SCRIPT, "glass_01", "slide_9", "slide_10", "tumor_02"],
        "lesions": ["tumor_02", HOSTILE, "slide_10", "slide_9", SCRIPT, "glass_01"],
        "status": [SCRIPT, "glass_01", HOSTILE, "slide_9", "slide_10", "tumor_02"],
        "area": ["slide_10", "tumor_02", "slide_9", HOSTILE, SCRIPT, "glass_01"],
        "score": HIGHEST_FIRST,
    }
    for key, order in orders.items():
        page.locator("#sort").select_option(key)
        assert opened.shown() == order, key
    page.locator("#direction").click()
    assert opened.shown() == ["slide_9", "slide_10", "tumor_02", HOSTILE, SCRIPT, "glass_01"]


def test_search_and_keys_lead_through_the_list(opened: Opened) -> None:
    page = opened.open(slide="tumor_02")
    page.keyboard.press("/")
    page.keyboard.type("SLIDE")
    assert opened.shown() == ["slide_10", "slide_9"]
    assert page.locator("#count").inner_text() == "2 of 6 slides"
    page.keyboard.press("ArrowDown")
    expect(page.locator("#facts dd").first).to_have_text("slide_10")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#facts dd").first).to_have_text("slide_9")
    chosen = page.locator("#list").get_attribute("aria-activedescendant")
    assert page.locator(f"#{chosen}").get_attribute("aria-selected") == "true"
    page.keyboard.press("k")
    expect(page.locator("#facts dd").first).to_have_text("slide_10")
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    assert opened.shown() == HIGHEST_FIRST
    page.keyboard.press("j")
    expect(page.locator("#facts dd").first).to_have_text("slide_9")
    opened.rest()


def test_an_empty_slide_is_shown_with_its_reason(opened: Opened) -> None:
    page = opened.open(slide="glass_01")
    assert page.locator("#notice").inner_text() == "empty: no tissue was found"
    assert page.locator("#lesions-note").inner_text() == "Nothing of this slide was judged."
    x, y = opened.middle()
    page.mouse.move(x, y)
    expect(page.locator("#pointer")).to_contain_text("not judged · 512, 512 px")
