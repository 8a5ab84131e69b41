"""docs/tables.md as tests read it: its examples, and the columns it lists."""

import re
from dataclasses import dataclass

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Example:
    """A fenced block of the page: the language, the code, and the examples that go before it."""

    language: str
    code: str
    after: tuple[str, ...]


def examples() -> dict[str, Example]:
    found = re.findall(r"<!-- check: (\w+)(?:, after: ([\w ]+?))? -->\n```(\w+)\n(.*?)```", PAGE, re.S)
    return {name: Example(language, code, tuple(after.split())) for name, after, language, code in found}


EXAMPLES = examples()


def columns_of(heading: str, images: int = 2) -> list[tuple[str, str]]:
    """Columns and types of the first table below a heading (or a text), `image_1 …` written out."""
    lines = PAGE.partition(heading)[2].partition("| column |")[2].splitlines()[2:]
    rows = [line.split("|")[1:3] for line in lines[: next(i for i, line in enumerate(lines) if not line)]]
    named = [(cell.strip().split("`")[1], kind.strip()) for cell, kind in rows]
    return [(name, kind) for name, kind in named if not name.startswith("image_") or int(name[6:]) < images]
