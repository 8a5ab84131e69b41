"""`evaluate` on a finished run: lesions and slides are those of the slow reference, every slide is accounted for."""

import csv
import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import shapely
from PIL import Image

from cluster.errors import ExitCode, UsageError
from cluster.storage import Store
from inference.evaluate import Evaluation, evaluate_run, save_evaluation
from inference.job import inference_id
from preprocessing import ledger
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.ledger import Outcome
from tests.conftest import ROOT
from tests.inference.conftest import GOOD, Run
from tests.inference.slow_camelyon16 import SlowSlide, slow_curve, slow_froc, slow_sensitivity, slow_slide

SIDES = {"tumor_01": 1024, "tumor_02": 1536, "normal_01": 1024}
RATES = {"0.25": 0.25, "0.5": 0.5, "1": 1, "2": 2, "4": 4, "8": 8}


def entries_of(run: Run, source: Path | None = None) -> list[SlideEntry]:
    return inventory(str(source or run.slides), run.recipe.tiling, run.recipe.seed)


def painted(slides: Path, slide_id: str, downsample: int) -> list[list[int]]:
    """Centers of mask pixels inside a tumor polygon and no excluded one, one by one."""
    side = SIDES[slide_id] // downsample
    path = slides / f"{slide_id}.xml"
    tumor = [[0] * side for _ in range(side)]
    outlines = [] if not path.exists() else list(ET.parse(path).getroot().iter("Annotation"))
    for outline in sorted(outlines, key=lambda it: it.get("PartOfGroup") == "Exclusion"):
        polygon = shapely.Polygon([(float(c.get("X")), float(c.get("Y"))) for c in outline.iter("Coordinate")])
        for row in range(side):
            for column in range(side):
                if polygon.contains(shapely.Point((column + 0.5) * downsample, (row + 0.5) * downsample)):
                    tumor[row][column] = int(outline.get("PartOfGroup") == "Tumor")
    return tumor


def slow_run(run: Run, mpp: float, downsample: int) -> dict[str, SlowSlide]:
    found = pd.read_csv(run.out / "lesions.csv", dtype={"slide_id": str})
    pixel = mpp * downsample
    slides = {}
    for slide_id in GOOD:
        rows = found[found["slide_id"] == slide_id]
        detections = list(zip(rows["x"], rows["y"], rows["probability"], strict=True))
        tumor = painted(run.slides, slide_id, downsample)
        slides[slide_id] = slow_slide(tumor, detections, downsample, 75 / (2 * pixel), 275 / pixel)
    return slides


@pytest.mark.parametrize(("mpp", "used", "downsample", "counting"), [(None, 0.25, 32, 1), (0.5, 0.5, 16, 2)])
def test_lesions_and_slides_are_those_of_the_slow_reference(
    finished: Run, tmp_path: Path, mpp: float | None, used: float, downsample: int, counting: int
) -> None:
    """The drawn lesions are small: by the slides' own 0.25 um one of them is isolated tumor cells."""
    save_evaluation(evaluate_run(str(finished.out), entries_of(finished), mpp=mpp), tmp_path)
    written = json.loads((tmp_path / "metrics.json").read_text())
    slides = slow_run(finished, used, downsample)
    assert sum(slide.lesions for slide in slides.values()) == counting == written["slides"]["lesions"]
    assert written["slides"]["isolated_tumor_cells"] == 2 - counting
    assert written["froc"]["value"] == pytest.approx(slow_froc(list(slides.values())))
    assert written["froc"]["interval"] is None
    points = slow_curve(list(slides.values()))
    assert {name: it["value"] for name, it in written["sensitivity_at"].items()} == {
        name: pytest.approx(slow_sensitivity(points, rate)) for name, rate in RATES.items()
    }
    false = sum(len(slide.false_positives) for slide in slides.values())
    assert written["slides"]["false_positives"] == false > 0
    scores = {it: pd.read_parquet(finished.out / "slide_scores" / f"{it}.parquet")["score"].item() for it in GOOD}
    won = [(scores[it] > scores["normal_01"]) + 0.5 * (scores[it] == scores["normal_01"]) for it in GOOD[1:]]
    assert written["slide_auc"]["value"] == pytest.approx(sum(won) / 2)


def test_every_slide_is_judged_or_named_with_its_reason(finished: Run, tmp_path: Path) -> None:
    found = evaluate_run(str(finished.out), entries_of(finished))
    assert [slide.slide_id for slide in found.lesions.slides] == list(GOOD)
    left_out = {it.slide_id: it for it in found.lesions.left_out}
    assert {name: it.why for name, it in left_out.items()} == {"bad": "failed", "glass_01": "no truth"}
    assert "bad.svs" in left_out["bad"].reason
    assert found.exit_code == ExitCode.SOME_SLIDES_FAILED
    text = save_evaluation(found, tmp_path / "report")
    assert "| bad | infer failed: " in text
    assert "| glass_01 | neither annotated nor known to be normal |" in text
    assert "Slides that failed in infer: 1; they are in no number" in text


def test_report_has_a_line_per_slide_and_per_lesion_and_the_figures(finished: Run, tmp_path: Path) -> None:
    found = evaluate_run(str(finished.out), entries_of(finished), mpp=0.5)
    save_evaluation(found, tmp_path)
    slides = {row["slide_id"]: row for row in csv.DictReader((tmp_path / "slides.csv").open())}
    assert {name: row["tumor"] for name, row in slides.items()} == {"normal_01": "0", "tumor_01": "1", "tumor_02": "1"}
    lesions = list(csv.DictReader((tmp_path / "true_lesions.csv").open()))
    assert [row["slide_id"] for row in lesions] == ["tumor_01", "tumor_02"]
    for row in lesions:
        x, y = (int(row[name]) // 16 for name in ("x", "y"))
        assert any(any(line[x - 8 : x + 9]) for line in painted(finished.slides, row["slide_id"], 16)[y - 8 : y + 9])
        assert float(row["major_axis_um"]) > 275
        assert row["isolated"] == "0"
        assert (float(row["score"]) > 0) == (slides[row["slide_id"]]["found"] == "1")
    for name in ("froc", "slide_roc", "roc"):
        with Image.open(tmp_path / f"{name}.png") as plot:
            assert min(plot.size) > 300


@pytest.mark.parametrize("name", ["slides.csv", "true_lesions.csv"])
def test_tables_have_the_columns_of_the_page(finished: Run, tmp_path: Path, name: str) -> None:
    save_evaluation(evaluate_run(str(finished.out), entries_of(finished)), tmp_path)
    page = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8").partition(f"`{name}`, a line")[2]
    listed = [line.split("`")[1] for line in page.partition("\n\n|")[2].partition("\n\n")[0].splitlines()[2:]]
    assert (tmp_path / name).read_text().splitlines()[0].split(",") == listed


def test_slides_left_out_as_asked_are_in_no_number(finished: Run) -> None:
    found = evaluate_run(str(finished.out), entries_of(finished), leave_out=["tumor_01", "bad*"])
    assert [slide.slide_id for slide in found.lesions.slides] == ["normal_01", "tumor_02"]
    assert {it.slide_id: it.why for it in found.lesions.left_out}["tumor_01"] == "asked"
    assert "tumor_01" not in found.windows
    assert found.exit_code == ExitCode.GOOD


def test_nothing_to_evaluate_is_wrong_use(finished: Run) -> None:
    with pytest.raises(UsageError, match=r"no slide to evaluate in .*: left out as asked"):
        evaluate_run(str(finished.out), entries_of(finished), leave_out=["*"])


def manifest(run: Run, folder: Path, rows: list[dict[str, str]]) -> Path:
    path = folder / "slides.csv"
    pd.DataFrame([{**row, "path": str(run.slides / row["path"])} for row in rows]).to_csv(path, index=False)
    return path


def test_an_empty_slide_counts_as_one_without_detections(finished: Run, tmp_path: Path) -> None:
    """Glass that is known to be normal shares the false positives out, and has the lowest score."""
    tumor = {"slide_id": "tumor_02", "path": "tumor_02.tif", "annotation": str(finished.slides / "tumor_02.xml")}
    glass = {"slide_id": "glass_01", "path": "glass_01.tif", "label": "normal"}
    source = manifest(finished, tmp_path, [tumor, glass])
    found = evaluate_run(str(finished.out), entries_of(finished, source))
    assert [(slide.slide_id, slide.empty) for slide in found.lesions.slides] == [
        ("glass_01", True),
        ("tumor_02", False),
    ]
    assert found.lesions.slides[0].score == 0
    assert found.lesions.roc.auc == 1
    alone = evaluate_run(str(finished.out), [entry for entry in entries_of(finished) if entry.slide_id == "tumor_02"])
    curves = [it.lesions.froc.curve for it in (found, alone)]
    assert curves[0] is not None
    assert curves[1] is not None
    assert (2 * curves[0].false_positives).tolist() == curves[1].false_positives.tolist()
    assert "No tissue was found on glass_01" in save_evaluation(found, tmp_path / "report")


def copied(run: Run, folder: Path) -> Path:
    out = folder / "out"
    shutil.copytree(run.out, out)
    return out


def note(run: Run, out: Path, entry: SlideEntry, outcome: Callable[[SlideEntry], Outcome], recipe_id: str = "") -> None:
    """One more row of the ledger."""
    store = Store(str(out))
    settled = inference_id(run.recipe, json.loads((out / "model.json").read_text())["model_id"])
    ledger.append(store, "infer", [outcome(entry)], recipe_id or settled, ledger.latest(store, "infer"))


def done(entry: SlideEntry) -> Outcome:
    return Outcome(entry, "done")


def judged(found: Evaluation) -> list[str]:
    return [slide.slide_id for slide in found.lesions.slides]


def test_a_failed_slide_is_not_one_without_detections(finished: Run, tmp_path: Path) -> None:
    """It leaves the numbers, and the report tells which lesions they do not speak of."""
    out, entries = copied(finished, tmp_path), entries_of(finished)
    lost = next(entry for entry in entries if entry.slide_id == "tumor_02")
    note(finished, out, lost, lambda it: Outcome(it, "failed", error_type="SlideReadError", error="tile 7 is damaged"))
    found = evaluate_run(str(out), entries)
    assert judged(found) == ["normal_01", "tumor_01"]
    left_out = {it.slide_id: it for it in found.lesions.left_out}["tumor_02"]
    assert left_out.why == "failed"
    assert left_out.reason == "infer failed: tile 7 is damaged; lesions it holds: 1"
    assert found.lesions.froc.curve is None  # the other lesion is isolated tumor cells


def test_a_slide_that_was_never_inferred_is_named(finished: Run, tmp_path: Path) -> None:
    slides = tmp_path / "slides"
    slides.mkdir()
    for name in ("tumor_01", "normal_01"):
        for path in finished.slides.glob(f"{name}*"):
            shutil.copy2(path, slides)
    shutil.copy2(finished.slides / "normal_01.tif", slides / "normal_09.tif")
    found = evaluate_run(str(finished.out), entries_of(finished, slides))
    assert judged(found) == ["normal_01", "tumor_01"]
    (left_out,) = found.lesions.left_out
    assert (left_out.slide_id, left_out.why) == ("normal_09", "not inferred")
    assert found.exit_code == ExitCode.GOOD


def test_a_damaged_annotation_costs_its_own_slide_only(finished: Run, tmp_path: Path) -> None:
    slides = tmp_path / "slides"
    shutil.copytree(finished.slides, slides)
    (slides / "tumor_01.xml").write_text("no XML")
    found = evaluate_run(str(finished.out), entries_of(finished, slides), leave_out=["bad"])
    assert judged(found) == ["normal_01", "tumor_02"]
    assert {it.slide_id: it.why for it in found.lesions.left_out}["tumor_01"] == "unreadable"
    assert found.exit_code == ExitCode.SOME_SLIDES_FAILED


@pytest.mark.parametrize(
    ("recipe_id", "message"),
    [("0123456789ab-ffffffffffff", "judged by another model"), ("0123456789ab-{model}", "with different settings")],
)
def test_a_mixture_of_results_is_no_result(finished: Run, tmp_path: Path, recipe_id: str, message: str) -> None:
    out, entries = copied(finished, tmp_path), entries_of(finished)
    model = json.loads((out / "model.json").read_text())["model_id"]
    other = next(entry for entry in entries if entry.slide_id == "tumor_02")
    note(finished, out, other, done, recipe_id.format(model=model))
    with pytest.raises(UsageError, match=message):
        evaluate_run(str(out), entries)


def test_detections_of_a_broken_off_run_are_refused(finished: Run, tmp_path: Path) -> None:
    """The slides of the last waves lie there, and `lesions.csv` does not know them yet."""
    out = copied(finished, tmp_path)
    lines = (out / "lesions.csv").read_text().splitlines(keepends=True)
    (out / "lesions.csv").write_text("".join(line for line in lines if not line.startswith("tumor_02")))
    with pytest.raises(UsageError, match=r"lesions.csv of .* has 0 lesions of tumor_02.*run histospark infer again"):
        evaluate_run(str(out), entries_of(finished))
    (out / "lesions.csv").unlink()
    with pytest.raises(UsageError, match="holds no lesions"):
        evaluate_run(str(out), entries_of(finished))


@pytest.mark.parametrize("line", ["tumor_02,7,,0.9\n", "tumor_02,7,8,nan\n", "tumor_02,7,8,-1\n"])
def test_a_damaged_list_of_lesions_is_refused(finished: Run, tmp_path: Path, line: str) -> None:
    out = copied(finished, tmp_path)
    with (out / "lesions.csv").open("a") as file:
        file.write(line)
    with pytest.raises(UsageError, match=r"lesions\.csv"):
        evaluate_run(str(out), entries_of(finished))


def test_a_slide_without_resolution_keeps_its_windows(
    finished: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its lesions cannot be measured, unless the user says the mpp."""
    monkeypatch.setattr("inference.judged_lesions.slide_mpp", lambda *_: (None, None))
    found = evaluate_run(str(finished.out), entries_of(finished))
    assert judged(found) == []
    assert {it.why for it in found.lesions.left_out} == {"no mpp", "failed", "no truth"}
    assert set(found.windows) == {"all slides", "tumor_01", "tumor_02"}
    text = save_evaluation(found, tmp_path)
    assert "add a column mpp to the manifest, or give --mpp" in text
    assert "no FROC: 0 slides" in text
    assert judged(evaluate_run(str(finished.out), entries_of(finished), mpp=0.5)) == list(GOOD)


def test_command_tells_tables_and_exit_code(finished: Run, tmp_path: Path, histospark: Callable[..., object]) -> None:
    asked = ("--predictions", finished.out, "--slides", finished.slides, "--mpp", "0.5")
    said = histospark("evaluate", *asked, "--out", tmp_path / "all")
    assert (said.returncode, said.stderr) == (ExitCode.SOME_SLIDES_FAILED, "")
    assert "| FROC | " in said.stdout
    assert (tmp_path / "all" / "froc.png").exists()
    said = histospark("evaluate", *asked, "--out", tmp_path / "some", "--leave-out", "bad", "--leave-out", "tumor_01")
    assert said.returncode == ExitCode.GOOD
    assert "| tumor_01 | left out as asked |" in said.stdout
