"""What a run asks a store that charges for each request, and is far away."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster.storage import Store
from preprocessing.inventory import inventory
from preprocessing.ledger import Outcome
from preprocessing.readers.base import SlideInfo
from preprocessing.recipe import Recipe
from preprocessing.run_metrics import METRICS
from preprocessing.slide_facts import SlideFacts
from tests.cluster.s3_server import S3Server
from tests.preprocessing.committing import job_of

NAMES = ("first", "second", "third")


def test_figures_of_a_run_ask_for_no_slide_and_none_of_its_files(s3: S3Server, small: Recipe, tmp_path: Path) -> None:
    slides, out = (Store(f"{s3.uri}/{tmp_path.name}/{name}") for name in ("slides", "out"))
    for length, name in enumerate(NAMES, 1000):
        slides.write_bytes(bytes(length), f"{name}.svs")
    batch, do_wave = job_of(out.uri, "a", wave=len(NAMES))
    asked: list[str] = []
    out.fs.s3.meta.events.register("before-call.s3", lambda params, **_: asked.append(_told(params)))

    entries = inventory(slides.uri, small.tiling, small.seed)
    assert len(asked) < 10, "folders are listed, files are not asked for one by one"
    listed = len(asked)
    batch.run(entries, lambda wave: opened(do_wave(wave)))
    assert not [request for request in asked[listed:] if "/slides/" in request and ".svs" in request]
    row = next(number for number, request in enumerate(asked) if "/out/slides/" in request and "PUT" in request)
    after = [request for request in asked[row:] if "/_publishing-" not in request]
    assert [request for request in after if "/metrics/" in request]
    assert not [request for request in after if any(name in request for name in NAMES)]

    (run,) = (json.loads(out.fs.cat_file(path)) for path in out.files(METRICS))
    assert run["done"] == len(NAMES)
    assert run["source_bytes"] == sum(range(1000, 1000 + len(NAMES)))
    assert run["written_bytes"] == sum(out.fs.size(path) for path in out.files("patches") if path.endswith(".parquet"))


def opened(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """As of slides that could be read."""
    info = SlideInfo(((9, 9),), (1.0,), 0.5, None, "aperio")
    return [replace(outcome, facts=SlideFacts(info, "direct")) for outcome in outcomes]


def _told(params: dict[str, Any]) -> str:
    """Method, path and question of an HTTP request."""
    return f"{params['method']} {params['url_path']} {params['query_string']}"
