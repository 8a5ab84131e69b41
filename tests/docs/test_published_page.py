"""The page that sets published systems beside ours names tests and recipes that are there."""

import re
from pathlib import Path

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "published.md").read_text()


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 30
    for file, test in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), (file, test)


def test_every_recipe_is_listed_on_the_page_of_recipes() -> None:
    listed = set(re.findall(r"^\| `(\w+\.yaml)`", (ROOT / "docs" / "recipes.md").read_text(), re.MULTILINE))
    assert listed == {path.name for path in (ROOT / "conf").glob("*.yaml")}


def test_links_between_pages_lead_somewhere() -> None:
    for page in ("published", "recipes"):
        for file, anchor in re.findall(r"\]\(([\w.]*)#?([\w-]*)\)", (ROOT / "docs" / f"{page}.md").read_text()):
            assert not anchor or anchor in _anchors(ROOT / "docs" / (file or f"{page}.md")), (page, file, anchor)
            assert not file or (ROOT / "docs" / file).is_file(), (page, file)


def _anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
