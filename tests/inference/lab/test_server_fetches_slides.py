"""A run and its slides on S3 and HDFS: fetched without a wait, then shown as those of this machine are."""

import shutil
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from cluster.storage import Store
from preprocessing.recipe import Recipe
from tests.cluster.tables_elsewhere import stored
from tests.inference.lab.making import bare_run, lab_over, write_pyramid

PATIENCE = 120.0  # seconds for a megabyte
TILE = "/slides/tumor_01/tiles/10/1_2.jpg"
HEAT = "/slides/tumor_01/heat/0/0_0.png"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HISTOSPARK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def written_run(folder: Path, recipe: Recipe, slides: str) -> Path:
    """Results of slides of a folder by URI: one is there with its annotation, one is gone, one lies on a web server."""
    paths = {name: f"{slides}/{name}.tif" for name in ("tumor_01", "gone")}
    paths["web"] = "http://169.254.169.254/web.tif"
    run = bare_run(folder, recipe, paths, dict.fromkeys(paths, 0.5))
    heat = (np.arange(64 * 64) % 251).reshape(64, 64).astype(np.uint8)
    (run / "heatmaps").mkdir()
    (run / "lesions").mkdir()
    for name in paths:
        write_pyramid(run / "heatmaps" / f"{name}.tif", heat, {"slide_id": name, "downsample": 16})
        (run / "lesions" / f"{name}.csv").write_text(f"{name},100,200,0.750000\n")
    return run


def test_a_run_elsewhere_shows_what_one_of_this_machine_does(
    elsewhere: str, drawn: Path, sparse: Recipe, cache: Path, tmp_path: Path
) -> None:
    slides = tmp_path / "slides"
    slides.mkdir()
    for file in drawn.glob("tumor_01*"):
        shutil.copy(file, slides)
    run = stored(written_run(tmp_path / "run", sparse, f"{elsewhere}/slides"), Store(f"{elsewhere}/run"))
    stored(slides, Store(f"{elsewhere}/slides"))
    with lab_over(run.uri) as lab, lab_over(written_run(tmp_path / "local", sparse, str(slides))) as local:
        assert [row["slide_id"] for row in lab.get("/api/slides").json()] == ["gone", "tumor_01", "web"]
        assert lab.get("/slides/tumor_01/thumbnail.jpg").status_code == 404
        assert not cache.exists(), "a list of slides fetches none"
        first = lab.get("/api/slides/tumor_01").json()
        assert first["fetching"]
        assert first["problems"]["slide"].startswith("tumor_01.tif (")
        shown, wanted = fetched(lab, "tumor_01"), local.get("/api/slides/tumor_01").json()
        for facts in (shown, wanted):
            del facts["version"], facts["processed_at"]
        assert shown == wanted
        assert shown["truth"] != []
        assert set(shown["problems"].values()) == {None}
        for address in (TILE, HEAT, "/slides/tumor_01/thumbnail.jpg", "/slides/tumor_01/probability?x=40&y=50"):
            answer = lab.get(address)
            assert answer.status_code == 200, answer.text
            assert answer.content == local.get(address).content
        for name, reason in (("gone", "is not where it was"), ("web", "lies on http, not on HDFS or S3")):
            told = lab.get(f"/api/slides/{name}").json()
            assert reason in told["problems"]["slide"]
            assert told["heat"] is not None
            assert elsewhere not in str(told["problems"])


def fetched(lab: httpx.Client, slide_id: str) -> dict[str, Any]:
    """What the lab knows of a slide once it is here."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        facts: dict[str, Any] = lab.get(f"/api/slides/{slide_id}").json()
        if not facts["fetching"]:
            return facts
        time.sleep(0.05)
    raise TimeoutError(f"{slide_id} did not come")
