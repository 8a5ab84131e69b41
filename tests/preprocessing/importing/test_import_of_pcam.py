"""PatchCamelyon's own files against the table made of them; the truth is read by h5py and pandas, row by row."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from cluster.errors import UsageError
from cluster.storage import Store
from preprocessing.importing.collection import open_collection
from preprocessing.importing.job import run_import
from preprocessing.importing.pcam_files import PREFIX
from preprocessing.ledger import latest
from preprocessing.recipe import Recipe
from tests.conftest import Command
from tests.preprocessing.importing.rows import imported_rows
from tests.tables import digests
from training.table import check_trainable, open_table

OURS = {"train": "train", "valid": "validation", "test": "test"}


def test_every_patch_is_there_once_with_its_pixels_label_place_slide_and_split(
    spark: SparkSession, pcam: Path, lossless: Recipe, tmp_path: Path
) -> None:
    summary = run_import(spark, lossless, open_collection(str(pcam)), str(tmp_path))
    assert (summary.done, summary.failed, summary.patches, summary.positives) == (4, 0, 96, 48)
    found = Counter(
        (row["split"], row["slide_id"], row["x"], row["y"], row["label"], row["pixels"].tobytes())
        for row in imported_rows(tmp_path)
    )
    assert found == Counter(published(pcam))
    ids = [row["patch_id"] for row in imported_rows(tmp_path)]
    assert len(set(ids)) == len(ids)
    check_trainable(open_table(str(tmp_path)))

    again = run_import(spark, lossless, open_collection(str(pcam)), str(tmp_path))
    assert (again.skipped, again.done) == (4, 0)


def test_one_damaged_chunk_costs_its_slides_by_name_and_no_others(
    histospark: Command, pcam: Path, tmp_path: Path
) -> None:
    shutil.copytree(pcam, tmp_path / "source")
    pixels = tmp_path / "source" / f"{PREFIX}valid_x.h5"
    with h5py.File(pixels) as file:
        chunk = file["x"].id.get_chunk_info(0)
    with pixels.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(chunk.size))
    command = ("import", "--conf", "conf/pcam.yaml", "--source", tmp_path / "source", "--out", tmp_path / "out")
    done = histospark(*command)
    assert done.returncode == 3, done.stderr[-3000:]
    assert f"failed  drawn_valid_00: SlideReadError: {pixels} cannot be read" in done.stderr
    assert "3 slides done, 0 empty, 1 failed" in done.stdout
    assert {row["split"] for row in imported_rows(tmp_path / "out")} == {"train", "test"}
    assert latest(Store(str(tmp_path / "out")), "tile").set_index("slide_id")["status"]["drawn_valid_00"] == "failed"

    shutil.copy(pcam / pixels.name, pixels)
    mended = histospark(
        "import", "--conf", "conf/pcam.yaml", "--source", tmp_path / "source", "--out", tmp_path / "out"
    )
    assert mended.returncode == 0, mended.stderr[-3000:]
    assert len(imported_rows(tmp_path / "out")) == 96


def test_files_do_not_depend_on_how_many_patches_a_task_reads(
    spark: SparkSession, pcam: Path, lossless: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_import(spark, lossless, open_collection(str(pcam)), str(tmp_path / "one"))
    monkeypatch.setattr("preprocessing.importing.patches.CHUNK", 7)
    run_import(spark, lossless, open_collection(str(pcam)), str(tmp_path / "many"))
    assert digests(tmp_path / "one") == digests(tmp_path / "many")


def test_repeated_patches_are_found_within_a_split_across_splits_and_with_two_labels(
    spark: SparkSession, pcam: Path, lossless: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(pcam, tmp_path / "source")
    with h5py.File(tmp_path / "source" / f"{PREFIX}train_x.h5", "r+") as train:
        first, second = train["x"][0], train["x"][1]
        train["x"][2] = first
        with h5py.File(tmp_path / "source" / f"{PREFIX}test_x.h5", "r+") as test:
            test["x"][5] = second
    with h5py.File(tmp_path / "source" / f"{PREFIX}train_y.h5", "r+") as labels:
        labels["y"][0], labels["y"][2] = 0, 1
    run_import(spark, lossless, open_collection(str(tmp_path / "source")), str(tmp_path / "out"))
    told = pd.read_csv(tmp_path / "out" / "duplicates.csv")
    groups = {tuple(sorted(zip(group["split"], group["label"], strict=True))) for _, group in told.groupby("pixels")}
    assert (("train", 0), ("train", 1)) in groups
    assert any({split for split, _ in group} == {"train", "test"} for group in groups)
    assert len(groups) == 2
    assert "2 patches repeat another one; 1 stand in two splits" in caplog.text


def test_labels_that_differ_from_the_meta_file_are_told(pcam: Path, tmp_path: Path) -> None:
    shutil.copytree(pcam, tmp_path / "source")
    with h5py.File(tmp_path / "source" / f"{PREFIX}test_y.h5", "r+") as labels:
        labels["y"][3] = 1 - labels["y"][3]
    collection = open_collection(str(tmp_path / "source"))
    assert collection.note.startswith("1 labels differ from center_tumor_patch")
    assert open_collection(str(pcam)).note == ""


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / f"{PREFIX}test_y.h5").unlink(), "has no .*test_y.h5: fetch all nine files"),
        (lambda folder: (folder / f"{PREFIX}test_x.h5").rename(folder / f"{PREFIX}test_x.h5.gz"), "gunzip it"),
        (lambda folder: (folder / f"{PREFIX}test_x.h5").write_bytes(b"none"), "is no HDF5 file of PatchCamelyon"),
        (lambda folder: shorten(folder / f"{PREFIX}test_meta.csv"), "24 patches, .* 24 labels, .* 23 lines"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "holds no collection of patches that is known"),
    ],
    ids=["missing", "packed", "no HDF5", "shorter list", "nothing"],
)
def test_what_is_not_whole_is_refused_with_the_remedy(
    harm: Callable[[Path], object], said: str, pcam: Path, tmp_path: Path
) -> None:
    shutil.copytree(pcam, tmp_path / "source")
    harm(tmp_path / "source")
    with pytest.raises(UsageError, match=said):
        open_collection(str(tmp_path / "source"))


def test_patches_of_another_size_than_the_recipe_s_are_no_patches_of_it(
    spark: SparkSession, pcam: Path, lossless: Recipe, tmp_path: Path
) -> None:
    wider = lossless.model_copy(update={"tiling": lossless.tiling.model_copy(update={"margin": 4})})
    summary = run_import(spark, wider, open_collection(str(pcam)), str(tmp_path))
    assert (summary.done, summary.failed) == (0, 4)
    assert "patches of 96 x 96 px, where tiling.window and twice tiling.margin are 98 px" in summary.faults[0]


def published(folder: Path) -> list[tuple[str, str, int, int, int, bytes]]:
    rows = []
    for theirs, ours in OURS.items():
        meta = pd.read_csv(folder / f"{PREFIX}{theirs}_meta.csv")
        with h5py.File(folder / f"{PREFIX}{theirs}_x.h5") as x, h5py.File(folder / f"{PREFIX}{theirs}_y.h5") as y:
            for place in range(len(meta)):
                line, pixels = meta.iloc[place], np.asarray(x["x"][place])
                where = (ours, line["wsi"], int(line["coord_x"]), int(line["coord_y"]))
                rows.append((*where, int(y["y"][place].item()), pixels.tobytes()))
    return rows


def shorten(path: Path) -> None:
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
