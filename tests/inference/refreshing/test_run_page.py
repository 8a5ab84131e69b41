"""The page of a run in a real browser: slide names stay names, links lead to heatmaps, all fits one sheet."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from inference.refreshing.run_page import short
from inference.refreshing.run_summary import FailedSlide, RunSummary, ScoredSlide, WaitingSlide
from inference.refreshing.summary_files import write_summary
from inference.refreshing.without_secrets import without_secrets
from tests.browser import chromium

HOSTILE = (
    "<script>document.title='hit'<script>",
    "\"><img src=x onerror=alert(1)>'",
    "{{ 7 * 7 }} {% raw %} & $x^2$",
    "\u202egnp.exe right to left",
    "line\nbreak\ttab",
    "100%25 #1?x=y;z [a]",
    "very-long-" + "x" * 230,
    "javascript:alert(1)",
    "腫瘍 ü",
    "..",
)
STARTED = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def summary_of(**changes: object) -> RunSummary:
    """A quiet night, but for what is given."""
    quiet: dict[str, object] = {
        **{"histospark": "0.1.0", "kind": "refresh", "command": "histospark refresh --conf r.yaml"},
        **{"slides": "/slides", "out": "/out", "recipe": "demo", "recipe_id": "a1b2c3d4e5f6"},
        **{"model_id": "0123456789ab", "threshold": 0.5, "engine": None, "started": STARTED},
        **{"ended": STARTED + timedelta(seconds=2), "seconds": 2.0, "hours": 0.0006, "infer_seconds": 0.0},
        **dict.fromkeys(("new", "changed", "retried", "redone", "done", "empty", "failed", "waiting"), ()),
        **dict.fromkeys(("skipped", "left", "gone", "windows", "positives", "tiled", "patches", "exit_code"), 0),
        **{"gone_names": (), "windows_per_second": None, "highest": (), "stopped": None},
    }
    return RunSummary.model_validate(quiet | changes)


def worst() -> RunSummary:
    """Every list full, with every hostile name, and long reasons."""
    ended = STARTED + timedelta(hours=3)
    names = [f"{HOSTILE[number % len(HOSTILE)]}{number}" for number in range(300)]
    since = STARTED - timedelta(days=20)
    failed = [
        FailedSlide(slide_id=name, job="tile", error_type="ReadError", reason=name * 9, attempts=9, since=since)
        for name in names
    ]
    waiting = [WaitingSlide(slide_id=name, fingerprint="", reason="still changing", since=since) for name in names]
    highest = [ScoredSlide(slide_id=name, score=0.9, lesions=1234, positive_area_mm2=12.5) for name in HOSTILE]
    counts = dict.fromkeys(("skipped", "left", "gone", "windows", "positives", "tiled", "patches"), 1_234_567)
    return summary_of(
        **dict.fromkeys(("new", "changed", "retried", "redone", "done", "empty", "gone_names"), names),
        **counts,
        **{"failed": failed, "waiting": waiting, "highest": highest, "windows_per_second": 1234.5},
        **{"engine": "openvino bfloat16", "ended": ended, "seconds": 10800.0, "hours": 3.0, "exit_code": 1},
        **{"stopped": "JobError: " + "the disk is full; " * 40, "command": "histospark refresh " + "--set a=b " * 60},
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_summary(worst(), str(folder))
    return folder


def opened(browser: Browser, path: Path, width: int = 1100) -> tuple[Page, list[str]]:
    """The page, and all it asked for or complained of."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    said: list[str] = []
    page.on("request", lambda request: said.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(path.as_uri(), wait_until="load")
    return page, said


def test_hostile_names_stay_names_and_nothing_is_asked_for(browser: Browser, folder: Path) -> None:
    page, said = opened(browser, folder / "report.html")
    assert [asked for asked in said if not asked.startswith("data:")] == [(folder / "report.html").as_uri()]
    assert "The job failed" in page.title()
    assert page.locator("script, main img, iframe").count() == 0
    shown = page.locator("section:has-text('Highest') tbody th").all_inner_texts()
    assert [text.split() for text in shown] == [short(name).split() for name in HOSTILE]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.close()


@pytest.mark.parametrize("place", ["report.html", "refresh/20260301T020000000Z.html"])
def test_links_lead_to_the_heatmaps(browser: Browser, folder: Path, place: str) -> None:
    page, _ = opened(browser, folder / place)
    links = page.evaluate("[...document.querySelectorAll('main a')].map(link => link.href)")
    page.close()
    assert [unquote(urlsplit(link).path) for link in links] == [f"{folder}/heatmaps/{name}.png" for name in HOSTILE]
    assert all(link.startswith("file:") and not urlsplit(link).query for link in links)


def test_fullest_page_prints_on_one_sheet(browser: Browser, folder: Path) -> None:
    page, _ = opened(browser, folder / "report.html")
    printed = page.pdf(prefer_css_page_size=True)
    page.close()
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", printed)) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Browser, folder: Path, scheme: str) -> None:
    """WCAG 2.1, 1.4.3: a contrast of at least 4.5 for text; the ground is the nearest one that is painted."""
    page, _ = opened(browser, folder / "report.html")
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    pairs = page.evaluate(
        """() => [...document.querySelectorAll('h1, h2, p, dt, dd, th, td, a')].map(one => {
          const painted = (it) => getComputedStyle(it).backgroundColor;
          let ground = one;
          while (painted(ground) === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
          return [getComputedStyle(one).color, painted(ground)];
        })"""
    )
    page.close()
    assert len(pairs) > 50
    assert min(contrast(*pair) for pair in pairs) >= 4.5
    assert (luminance(pairs[0][1]) < 0.1) == (scheme == "dark")


def luminance(color: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, as WCAG 2.1 defines it."""
    values = [int(value) / 255 for value in re.findall(r"\d+", color)[:3]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_quiet_night_says_so(browser: Browser, tmp_path: Path) -> None:
    write_summary(summary_of(skipped=400), str(tmp_path))
    page, _ = opened(browser, tmp_path / "report.html", width=400)
    text = page.locator("body").inner_text()
    assert "All good" in text
    assert "Nothing was new" in text
    assert page.locator("table").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--out s3://AKIA:se/cr+et@bucket/x --wave 3", "--out s3://***@bucket/x --wave 3"),
        ("az://token@container/a", "az://***@container/a"),
        ("https://h/x?sv=1&sig=abc%2F&e=2 and more", "https://h/x?sv=1&sig=***&e=2 and more"),
        ("https://h/x?X-Amz-Signature=abc", "https://h/x?X-Amz-Signature=***"),
        ("hdfs://node:8020/slides/a", "hdfs://node:8020/slides/a"),
        ("/slides/a@b/c?d=e", "/slides/a@b/c?d=e"),
        ("not utf-8: \udcff", "not utf-8: \\udcff"),
    ],
)
def test_logins_and_keys_are_masked(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
