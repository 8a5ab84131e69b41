"""One bad slide never stops the others and never disappears: it is a row of the ledger with its reason."""

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import SparkSession

from cluster.storage import Store
from preprocessing.batch import Batch
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.job import run_tiling
from preprocessing.ledger import Outcome
from preprocessing.publish import SlideTable
from preprocessing.readers.opening import open_slide
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from tests import reference
from tests.conftest import ROOT, Command
from tests.tables import ledger_of, patches_of


def test_each_real_bad_file_is_a_ledger_row_and_the_good_ones_are_committed(
    histospark: Command, real: Path, tmp_path: Path
) -> None:
    slides, out = tmp_path / "slides", tmp_path / "out"
    slides.mkdir()
    for path in [*(real / "wsi" / "bad").iterdir(), real / "wsi" / "CMU-1-Small-Region.svs"]:
        shutil.copy(path, slides)
    ended = histospark("tile", "--conf", "conf/level0.yaml", "--slides", slides, "--out", out)
    assert ended.returncode == 3
    ledger = ledger_of(out).set_index("slide_id")
    assert ledger["status"].to_dict() == {
        "CMU-1-Small-Region": "done",
        "broken": "failed",
        "kidney-48-5": "empty",  # a plain TIFF, which OpenSlide refuses: read flat, and nearly bare glass
        "small": "failed",
        "unreadable": "failed",
    }
    assert ledger["error_type"].dropna().to_dict() == {
        "broken": "SlideOpenError",
        "small": "WindowLargerThanSlideError",
        "unreadable": "SlideReadError",
    }
    assert ledger.at["kidney-48-5", "reader"] == "flat"
    assert "16x16" in ledger.at["small", "error"]
    assert "Traceback" in ledger.at["unreadable", "trace"]
    assert "Traceback" not in ended.stderr
    assert all(f"failed  {name}: " in ended.stderr for name in ("broken", "small", "unreadable"))
    tiling = load_recipe(str(ROOT / "conf" / "level0.yaml")).tiling.model_dump()
    expected = reference.candidates(slides / "CMU-1-Small-Region.svs", None, tiling)
    got = patches_of(out, "CMU-1-Small-Region")
    assert set(zip(got["x"], got["y"], strict=True)) == {(patch.x, patch.y) for patch in expected}
    assert len(got) == ledger.at["CMU-1-Small-Region", "patches"] > 100
    assert histospark("status", out).returncode == 3


def test_levels_that_a_slide_lacks_are_a_clear_failure_of_that_slide(
    spark: SparkSession, real: Path, tmp_path: Path
) -> None:
    """The camelyon16 recipe asks for levels 2 and 3; the level0 recipe fits the same slides."""
    slides = tmp_path / "slides"
    slides.mkdir()
    for path in [*(real / "wsi").glob("*.svs"), *(real / "camelyon16").glob("tumor_001_level5.*")]:
        shutil.copy(path, slides)
    strict = load_recipe(str(ROOT / "conf" / "camelyon16.yaml"))
    summary = run_tiling(spark, strict, inventory(str(slides), strict.tiling, 1), str(tmp_path / "strict"))
    assert (summary.done, summary.failed) == (0, 3)
    errors = ledger_of(tmp_path / "strict").set_index("slide_id")["error"]
    assert "asks for level 2, the slide has levels 0 to 0" in errors["tumor_001_level5"]
    assert "asks for level 2, the slide has levels 0 to 1" in errors["TCGA-CR-7395-01A-01-TS1"]
    fitting = load_recipe(str(ROOT / "conf" / "level0.yaml"))
    summary = run_tiling(spark, fitting, inventory(str(slides), fitting.tiling, 1), str(tmp_path / "fitting"))
    assert (summary.done, summary.failed) == (3, 0)
    ledger = ledger_of(tmp_path / "fitting").set_index("slide_id")
    assert ledger["mpp"].isna().to_dict() == {
        "CMU-1-Small-Region": False,
        "TCGA-CR-7395-01A-01-TS1": True,
        "tumor_001_level5": True,
    }
    assert ledger.at["tumor_001_level5", "positives"] > 0
    assert patches_of(tmp_path / "fitting", "CMU-1-Small-Region")["label"].isna().all()


def test_mask_of_another_size_and_unknown_group_fail_only_their_slide(
    spark: SparkSession, drawn: Path, small: Recipe, tmp_path: Path
) -> None:
    slides = tmp_path / "slides"
    shutil.copytree(drawn, slides)
    (slides / "tumor_01.xml").unlink()
    shutil.copy(slides / "tumor_02_mask.tif", slides / "tumor_01_mask.tif")
    xml = slides / "tumor_02.xml"
    xml.write_text(xml.read_text().replace('PartOfGroup="Tumor"', 'PartOfGroup="Necrosis"'))
    summary = run_tiling(spark, small, inventory(str(slides), small.tiling, 1), str(tmp_path / "out"))
    assert (summary.done, summary.failed) == (1, 2)
    errors = ledger_of(tmp_path / "out").set_index("slide_id")["error"]
    assert "1536x1536 px, its slide 1024x1024" in errors["tumor_01"]
    assert "is in group 'Necrosis'" in errors["tumor_02"]


def test_tumor_drawn_on_a_slide_declared_normal_is_refused(
    spark: SparkSession, drawn: Path, small: Recipe, tmp_path: Path
) -> None:
    labels = small.tiling.labels.model_copy(update={"normal_slides": ("tumor_01",)})
    recipe = small.model_copy(update={"tiling": small.tiling.model_copy(update={"labels": labels})})
    entries = inventory(str(drawn / "tumor_01.tif"), recipe.tiling, 1)
    summary = run_tiling(spark, recipe, entries, str(tmp_path))
    assert summary.failed == 1
    assert "declared normal" in ledger_of(tmp_path)["error"][0]


def test_slide_of_glass_is_empty_not_failed(spark: SparkSession, drawn: Path, small: Recipe, tmp_path: Path) -> None:
    """With tissue darker than anything on the slide there is nothing to keep, and nothing is wrong."""
    tissue = small.tiling.tissue.model_copy(update={"max_gray": 0.0})
    recipe = small.model_copy(update={"tiling": small.tiling.model_copy(update={"tissue": tissue})})
    entries = inventory(str(drawn / "normal_01.tif"), recipe.tiling, 1)
    summary = run_tiling(spark, recipe, entries, str(tmp_path))
    assert (summary.empty, summary.failed, int(summary.exit_code)) == (1, 0, 0)
    assert ledger_of(tmp_path)["status"].tolist() == ["empty"]


def test_slide_that_kills_its_worker_costs_only_itself(
    spark: SparkSession, drawn: Path, small: Recipe, tmp_path: Path
) -> None:
    """A native crash breaks the whole Spark job; the wave is then done slide by slide."""
    entries = inventory(str(drawn), small.tiling, small.seed)
    table = SlideTable(Store(str(tmp_path)), "patches")

    def deadly(entry: SlideEntry) -> Outcome:
        if entry.slide_id == "tumor_01":
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome(entry, "empty")

    def do_wave(wave: Sequence[SlideEntry]) -> list[Outcome]:
        return spark.sparkContext.parallelize(list(wave), len(wave)).map(deadly).collect()

    summary = Batch(spark, "tile", table, small.recipe_id, wave=32).run(entries, do_wave)
    assert (summary.empty, summary.failed) == (2, 1)
    ledger = ledger_of(tmp_path).set_index("slide_id")
    assert ledger["status"].to_dict() == {"normal_01": "empty", "tumor_01": "failed", "tumor_02": "empty"}
    assert ledger.at["tumor_01", "error_type"] == "WorkerLostError"
    assert "Py4J" in ledger.at["tumor_01", "trace"]


def test_pixels_beyond_the_slide_are_white(real: Path) -> None:
    with open_slide(str(real / "wsi" / "boxes.tiff")) as slide:
        beyond = slide.read(0, slide.info.width - 10, slide.info.height - 10, 300, 300)
    assert (beyond[10:, 10:] == 255).all()
