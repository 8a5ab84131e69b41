"""The list and the facts of slides, against ledger, scores and annotations; and what is said where one is amiss."""

import json
import os
import shutil
from pathlib import Path
from xml.etree import ElementTree as Xml

import httpx
import pandas as pd
import pytest

from cluster.errors import UsageError
from cluster.storage import Store
from inference.lab.run_view import RunView
from preprocessing import ledger
from preprocessing.recipe import Recipe
from tests.inference.conftest import GOOD
from tests.inference.lab.making import MadeRun, bare_run, lab_over, note_slides


@pytest.fixture
def changed(lab_run: MadeRun, tmp_path: Path) -> MadeRun:
    return lab_run.copied_to(tmp_path)


def test_the_run_says_what_it_is(lab: httpx.Client, lab_run: MadeRun) -> None:
    card = json.loads((lab_run.out / "model.json").read_text())
    assert lab.get("/api/run").json() == {
        "model_id": card["model_id"],
        "recipe": "demo",
        "threshold": 0.5,
        "uri": str(lab_run.out),
        "report": (lab_run.out / "report.html").exists(),
        "slides": 5,
    }


def test_the_list_is_the_ledger_with_the_scores(lab: httpx.Client, lab_run: MadeRun) -> None:
    slides = {row["slide_id"]: row for row in lab.get("/api/slides").json()}
    attempts = ledger.latest(Store(str(lab_run.out)), "infer").set_index("slide_id")
    assert list(slides) == sorted(attempts.index)
    for slide_id, row in slides.items():
        line = attempts.loc[slide_id]
        assert (row["status"], row["patches"]) == (line["status"], line["patches"])
        assert pd.Timestamp(row["processed_at"]) == line["processed_at"]
    for slide_id in GOOD:
        score = pd.read_parquet(lab_run.out / "slide_scores" / f"{slide_id}.parquet").iloc[0]
        for name in ("score", "lesions", "tissue_area_mm2", "positive_area_mm2"):
            assert slides[slide_id][name] == pytest.approx(score[name])
        assert slides[slide_id]["mpp"] == 0.25
    assert (slides["glass_01"]["score"], slides["bad"]["score"], slides["bad"]["width"]) == (None, None, None)
    assert "bad.svs" in slides["bad"]["error"]


def test_no_place_of_the_slides_is_told(lab: httpx.Client, lab_run: MadeRun) -> None:
    told = lab.get("/api/slides").text
    told += "".join(lab.get(f"/api/slides/{name}").text for name in (*GOOD, "bad", "glass_01"))
    assert str(lab_run.slides) not in told


def test_a_slide_brings_its_lesions_and_its_truth(lab: httpx.Client, lab_run: MadeRun) -> None:
    slide = lab.get("/api/slides/tumor_02").json()
    lines = (lab_run.out / "lesions" / "tumor_02.csv").read_text().split()
    assert [f"tumor_02,{it['x']},{it['y']},{it['probability']:.6f}" for it in slide["lesions"]] == lines
    drawn = [
        [(round(float(corner.get("X", "")), 1), round(float(corner.get("Y", "")), 1)) for corner in polygon]
        for polygon in Xml.parse(lab_run.slides / "tumor_02.xml").iter("Coordinates")
    ]
    told = [[tuple(point) for point in ring] for ring in slide["truth"]]
    assert len(told) == len(drawn) > 1
    assert all(set(ring) <= {corner for polygon in drawn for corner in polygon} for ring in told)
    assert lab.get("/api/slides/normal_01").json()["truth"] == []


def test_unknown_slides_are_not_found(lab: httpx.Client) -> None:
    for address in (
        "/api/slides/nobody",
        "/slides/nobody/thumbnail.jpg",
        "/slides/nobody/probability?x=1&y=1",
        "/nowhere",
    ):
        answer = lab.get(address)
        assert (answer.status_code, list(answer.json())) == (404, ["error"])


def test_tiles_are_kept_by_the_browser_as_long_as_they_are_right(changed: MadeRun) -> None:
    with lab_over(changed.out) as client:
        for kind in ("tiles/8/0_0.jpg", "heat/0/0_0.png?map=turbo"):
            first = client.get(f"/slides/tumor_01/{kind}")
            assert first.headers["cache-control"] == "private, no-cache"
            again = client.get(f"/slides/tumor_01/{kind}", headers={"if-none-match": first.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        versions = client.get("/api/slides/tumor_01").json()["version"]
        for kind, version in (("tiles/8/0_0.jpg?", versions["slide"]), ("heat/0/0_0.png?", versions["heat"])):
            assert "immutable" in client.get(f"/slides/tumor_01/{kind}v={version}").headers["cache-control"]
            assert "immutable" not in client.get(f"/slides/tumor_01/{kind}v=older").headers["cache-control"]
        shutil.copyfile(changed.heat("normal_01"), changed.heat("tumor_01"))
        after = client.get(
            "/slides/tumor_01/heat/0/0_0.png?map=turbo", headers={"if-none-match": first.headers["etag"]}
        )
        assert after.status_code == 200
        assert after.content == client.get("/slides/normal_01/heat/0/0_0.png?map=turbo").content != first.content


@pytest.mark.parametrize("damage", ["cut", "garbage", "another picture", "gone", "empty"])
def test_a_damaged_heatmap_is_told_and_the_rest_goes_on(changed: MadeRun, damage: str) -> None:
    path = changed.heat("tumor_01")
    if damage == "gone":
        path.unlink()
    elif damage == "another picture":
        shutil.copyfile(changed.slide("normal_01"), path)
    else:
        whole = path.read_bytes()
        path.write_bytes({"cut": whole[: len(whole) // 2], "garbage": b"II*\0" + b"\xff" * 5000, "empty": b""}[damage])
    with lab_over(changed.out) as client:
        slide = client.get("/api/slides/tumor_01").json()
        answer = client.get("/slides/tumor_01/heat/0/0_0.png")
        assert answer.status_code == (404 if damage == "gone" else 410)
        assert "heatmaps/tumor_01.tif" in answer.json()["error"]
        assert client.get("/slides/tumor_01/probability?x=300&y=300").status_code == answer.status_code
        if damage != "cut":  # which may be cut where only the tiles lie
            assert slide["heat"] is None
            assert slide["problems"]["heat"] == answer.json()["error"]
        assert (slide["max_level"], len(slide["truth"])) == (10, 2)
        assert client.get("/slides/tumor_01/tiles/10/1_1.jpg").status_code == 200
        assert client.get("/slides/tumor_02/heat/0/0_0.png").status_code == 200


def test_damaged_scores_and_lesions_are_told(changed: MadeRun) -> None:
    (changed.out / "slide_scores" / "tumor_01.parquet").write_bytes(b"PAR1 no PAR1")
    (changed.out / "lesions" / "tumor_02.csv").write_text("tumor_02,here,there,0.7\n")
    with lab_over(changed.out) as client:
        slides = {row["slide_id"]: row for row in client.get("/api/slides").json()}
        assert slides["tumor_01"]["score"] is None
        assert "slide_scores/tumor_01.parquet" in slides["tumor_01"]["error"]
        assert slides["tumor_02"]["score"] > 0.5
        assert "lesions/tumor_02.csv" in client.get("/api/slides/tumor_02").json()["problems"]["lesions"]


def test_a_slide_that_is_gone_moved_or_far_away_says_so(lab_run: MadeRun, sparse: Recipe, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    shutil.copyfile(lab_run.slide("tumor_01"), there / "gone.tif")
    places = {"gone": str(there / "gone.tif"), "far": "gs://bucket/folder/far.svs", "never": "/nowhere/at/all.svs"}
    run = bare_run(tmp_path / "run", sparse, places, {"gone": 0.5})
    with lab_over(run) as client:
        assert client.get("/slides/gone/thumbnail.jpg").status_code == 200
        (there / "gone.tif").unlink()
        for slide_id, status in (("gone", 410), ("never", 410), ("far", 404)):
            answer = client.get(f"/slides/{slide_id}/tiles/0/0_0.jpg")
            assert answer.status_code == status
            assert "--slides" in answer.json()["error"]
            facts = client.get(f"/api/slides/{slide_id}").json()
            assert (facts["problems"]["slide"], facts["max_level"]) == (answer.json()["error"], None)
            assert "/nowhere" not in answer.text
            assert str(tmp_path) not in answer.text
    moved = tmp_path / "moved"
    moved.mkdir()
    os.link(lab_run.slide("tumor_01"), moved / "gone.tif")
    shutil.copyfile(lab_run.slides / "tumor_01.xml", moved / "gone.xml")
    with lab_over(run, moved) as client:
        assert client.get("/slides/gone/thumbnail.jpg").status_code == 200
        assert len(client.get("/api/slides/gone").json()["truth"]) == 2


def test_slides_that_are_done_meanwhile_appear(sparse: Recipe, tmp_path: Path) -> None:
    run = bare_run(tmp_path / "run", sparse, {"first": "/a/first.svs"}, {"first": 0.25})
    with lab_over(run) as client:
        assert [row["slide_id"] for row in client.get("/api/slides").json()] == ["first"]
        note_slides(run, {"second": "/a/second.svs", "first": "/a/first.svs"}, {"second": 0.5, "first": 0.75})
        assert client.get("/api/slides/second").json()["score"] == 0.5
        assert [row["score"] for row in client.get("/api/slides").json()] == [0.75, 0.5]


def test_a_long_list_comes_whole(sparse: Recipe, tmp_path: Path) -> None:
    slides = {f"slide_{number:04d}": "/a/b.svs" for number in range(1203)}
    for count in (0, 1, 500, 1203):
        run = bare_run(tmp_path / str(count), sparse, dict(list(slides.items())[:count]), {})
        with lab_over(run) as client:
            assert [row["slide_id"] for row in client.get("/api/slides").json()] == list(slides)[:count]


def test_the_report_of_the_run_is_shown_without_scripts(changed: MadeRun) -> None:
    (changed.out / "report.html").unlink(missing_ok=True)
    with lab_over(changed.out) as client:
        assert client.get("/report").status_code == 404
        (changed.out / "report.html").write_text("<h1>Report</h1>")
        answer = client.get("/report")
        assert (answer.text, client.get("/api/run").json()["report"]) == ("<h1>Report</h1>", True)
        assert "script-src" not in answer.headers["content-security-policy"]


def test_links_of_the_report_lead_to_the_pictures_of_heatmaps(lab: httpx.Client, lab_run: MadeRun) -> None:
    for slide_id in GOOD:
        answer = lab.get(f"/heatmaps/{slide_id}.png")
        assert answer.content == (lab_run.out / "heatmaps" / f"{slide_id}.png").read_bytes()
        assert answer.headers["content-type"] == "image/png"
    for slide_id in ("bad", "glass_01", "unheard"):
        assert lab.get(f"/heatmaps/{slide_id}.png").status_code == 404


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no predictions"):
        RunView(str(tmp_path))


def test_of_several_models_one_is_shown(sparse: Recipe, tmp_path: Path) -> None:
    run = bare_run(tmp_path / "run", sparse, {"first": "/a/first.svs"}, {})
    other = bare_run(run / "models" / "other", sparse, {"second": "/a/second.svs"}, {})
    (other / "model.json").write_text(json.dumps({"model_id": "other"}))
    with pytest.raises(UsageError, match="--model-id"):
        RunView(str(run))
    assert list(RunView(str(run), model_id="other").rows.now()) == ["second"]
    assert list(RunView(str(run), model_id="m0del").rows.now()) == ["first"]
    assert RunView(str(other)).facts()["model_id"] == "other"


@pytest.mark.parametrize("text", ["inference: [", "nothing_known: 1"])
def test_a_run_with_a_damaged_recipe_is_refused(sparse: Recipe, tmp_path: Path, text: str) -> None:
    run = bare_run(tmp_path / "run", sparse, {}, {})
    (run / "recipe.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"recipe\.yaml"):
        RunView(str(run))
