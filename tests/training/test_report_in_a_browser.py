"""The page in a real browser: it asks nobody for anything, shows all its images, and takes no slide name for markup."""

from collections.abc import Iterator
from pathlib import Path

import keras
import pytest
from playwright.sync_api import Browser, Page

from tests.browser import chromium
from tests.training.looking_core import looking_core
from tests.training.tiny_table import SLIDES, tiny_recipe, write_table
from training.epochs import Epoch
from training.table import open_table
from training.training_report import report_training

SCRIPT = "<script>document.title='hit'<script>"
IMAGE = "<img src=x onerror=alert(1)> & $x^2$"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    recipe = tiny_recipe()
    slides = {**SLIDES, ("test", SCRIPT): {0: 9, 1: 8}, ("test", IMAGE): {0: 5, 1: 2}}
    table = write_table(folder / "run", recipe, slides)
    keras.utils.set_random_seed(4)
    core = looking_core()
    core.save(folder / "model.keras")
    epochs = [Epoch(1, 1, 0.7, 0.5, 0.69, 0.55, 3.0), Epoch(2, 1, 0.5, 0.7, 0.52, 0.81, 3.0)]
    return report_training(core, folder / "model.keras", open_table(table.uri), recipe, epochs).page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[tuple[Page, list[str], list[str]]]:
    """The page, the addresses it asked for, and what the browser complained of."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(report.as_uri(), wait_until="load")
    yield page, asked, said
    page.close()


def test_nothing_is_asked_of_anybody(opened: tuple[Page, list[str], list[str]], report: Path) -> None:
    _, asked, said = opened
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert said == []


def test_every_image_is_there_and_described(opened: tuple[Page, list[str], list[str]]) -> None:
    page, _, _ = opened
    images = page.evaluate(
        "[...document.images].map(it => [it.complete && it.naturalWidth, it.alt.length, it.src.slice(0, 11)])"
    )
    assert len(images) == 8
    assert all(width > 300 and described > 20 and source == "data:image/" for width, described, source in images)


def test_a_slide_name_is_text(opened: tuple[Page, list[str], list[str]]) -> None:
    page, _, said = opened
    assert page.title() == "Patches of tiny: training report"
    assert page.locator("script").count() == 0
    assert page.locator("img[src='x']").count() == 0
    for name in (SCRIPT, IMAGE):
        assert page.locator("#slides th[scope=row]").get_by_text(name, exact=True).count() == 1
    assert said == []


def test_the_chapters_are_there_and_fit_the_screen(opened: tuple[Page, list[str], list[str]]) -> None:
    page, _, _ = opened
    links = page.eval_on_selector_all("nav a", "links => links.map(it => it.getAttribute('href'))")
    assert links == ["#metrics", "#slides", "#stains", "#hardest", "#training", "#data", "#recipe", "#limits"]
    for link in links:
        assert page.locator(f"{link} h2").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_numbers_on_the_page_are_those_of_the_tables(opened: tuple[Page, list[str], list[str]], report: Path) -> None:
    page, _, _ = opened
    lines = (report.parent / "metrics.md").read_text().splitlines()
    auc = next(line for line in lines if line.startswith("| auc |")).split("|")[2:4]
    shown = (
        page.locator("#metrics tr").filter(has=page.locator("th", has_text="auc")).first.locator("td").all_inner_texts()
    )
    assert shown == [cell.strip() for cell in auc]


def test_it_prints(opened: tuple[Page, list[str], list[str]], tmp_path: Path) -> None:
    page, _, _ = opened
    assert len(page.pdf(path=tmp_path / "report.pdf", format="A4")) > 50_000
