"""The summary as one HTML page that needs nothing else: no script, no network, one sheet of paper.

Names of slides come from outside. The template engine escapes them, the page forbids scripts and requests on top of
that, and each name is kept from turning the text around it.
"""

import unicodedata
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Final
from urllib.parse import quote

import jinja2

from cluster.progress import duration
from cluster.words import counted
from inference.refreshing.run_summary import RunSummary

TEMPLATE: Final = "run_page.html.j2"
ROWS: Final = 10
"""Slides that a list of the page shows, half as many that wait; all stand in the JSON."""

_HEADLINES: Final = {0: "All good", 1: "The job failed", 2: "Wrong use", 3: "Some slides failed"}


def run_page(summary: RunSummary, results: str) -> str:
    """Write the page.

    Args:
        summary: of a run.
        results: relative address of the model's results as seen from the page, empty or with a slash at its end.
    """

    def heatmap(slide_id: str) -> str:
        return f"{results}heatmaps/{quote(slide_id, safe='')}.png"

    headline = "Ended early" if summary.stopped and not summary.exit_code else _HEADLINES[summary.exit_code]
    return _template().render(it=summary, headline=headline, heatmap=heatmap, rows=ROWS)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"short": short, "when": when, "lasting": duration, "counted": counted}
    return environment.from_string((files("inference.refreshing") / TEMPLATE).read_text(encoding="utf-8"))


def short(text: str, most: int = 60) -> str:
    """A text in one line of at most so many characters, its middle left out; what cannot be seen becomes `�`."""
    seen = "".join("\ufffd" if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") else sign for sign in text)
    if len(seen) <= most:
        return seen
    tail = most // 3
    return f"{seen[: most - tail - 1]}…{seen[-tail:]}"


def when(moment: datetime) -> str:
    """A moment, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M}"
