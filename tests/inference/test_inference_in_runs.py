"""However a wave is cut into Spark tasks, the same files come of it; a damaged tile fails its slide, once."""

import shutil
from pathlib import Path

import pytest
import tifffile
from pyspark.sql import SparkSession

from preprocessing import unit_tasks
from tests.inference.conftest import GOOD, Run
from tests.inference.tables import contents
from tests.tables import ledger_of


def spoil_a_tile(path: Path) -> None:
    """In the middle of level 1, which is the finest scale."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[1]
        middle = len(page.dataoffsets) // 2
        start, size = page.dataoffsets[middle], page.databytecounts[middle]
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\0" * size)


def test_units_by_themselves_write_what_whole_slides_do_and_a_damaged_tile_costs_its_slide(
    spark: SparkSession, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_tasks, "_slots", lambda _: 1000)  # so that each unit is a run
    slides, out = shutil.copytree(finished.slides, tmp_path / "slides"), tmp_path / "out"
    shutil.copy(slides / "tumor_02.tif", slides / "damaged.tif")
    spoil_a_tile(slides / "damaged.tif")
    summary = finished.again(spark, slides, out)
    ledger = ledger_of(out).set_index("slide_id")
    assert (summary.done, summary.empty, summary.failed) == (len(GOOD), 1, 2)
    assert ledger.at["damaged", "error_type"] == "SlideReadError"
    assert list(ledger.index).count("damaged") == 1

    before, after = contents(finished.out), contents(out)
    names = {name for name in before if name.startswith(("predictions/", "heatmaps/"))}
    assert len(names) > 3 * len(GOOD)
    assert {name: after.get(name) for name in names} == {name: before[name] for name in names}
