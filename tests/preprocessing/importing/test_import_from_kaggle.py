"""PatchCamelyon in its form on Kaggle: a list of ids and labels, and an image a patch."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pyspark.sql import SparkSession

from cluster.errors import UsageError
from preprocessing.importing.collection import open_collection
from preprocessing.importing.job import entries_of, run_import
from preprocessing.importing.pcam_files import PREFIX
from preprocessing.recipe import Recipe
from tests.preprocessing.importing.rows import imported_rows


@pytest.fixture
def kaggle(pcam: Path, tmp_path: Path) -> tuple[Path, pd.DataFrame]:
    """The training patches of the drawn collection as images, and their list with the slides."""
    folder = tmp_path / "kaggle"
    (folder / "train").mkdir(parents=True)
    meta = pd.read_csv(pcam / f"{PREFIX}train_meta.csv")
    with h5py.File(pcam / f"{PREFIX}train_x.h5") as file:
        for place, pixels in enumerate(file["x"]):
            Image.fromarray(pixels).save(folder / "train" / f"{place:040x}.tif")
    told = pd.DataFrame(
        {"id": [f"{place:040x}" for place in range(len(meta))], "label": meta.center_tumor_patch.astype(int)}
    )
    told.to_csv(folder / "train_labels.csv", index=False)
    return folder, told.assign(wsi=meta.wsi)


def test_every_image_comes_with_its_label_and_no_place(
    spark: SparkSession, kaggle: tuple[Path, pd.DataFrame], lossless: Recipe, tmp_path: Path
) -> None:
    folder, told = kaggle
    collection = open_collection(str(folder))
    summary = run_import(spark, lossless, collection, str(tmp_path / "out"))
    assert (summary.failed, summary.patches) == (0, 48)
    assert "names no slides" in collection.note
    found = sorted((row["label"], row["pixels"].tobytes()) for row in imported_rows(tmp_path / "out"))
    images = [np.asarray(Image.open(folder / "train" / f"{image}.tif")).tobytes() for image in told["id"]]
    assert found == sorted(zip(told["label"], images, strict=True))
    assert {(row["x"], row["y"]) for row in imported_rows(tmp_path / "out")} == {(-1, -1)}


def test_slides_that_were_added_to_the_list_stay_whole_and_a_missing_image_fails_its_slide(
    spark: SparkSession, kaggle: tuple[Path, pd.DataFrame], lossless: Recipe, tmp_path: Path
) -> None:
    folder, told = kaggle
    told.to_csv(folder / "train_labels.csv", index=False)
    lost = folder / "train" / f"{told['id'][told['wsi'] == 'drawn_train_01'].iloc[0]}.tif"
    lost.unlink()
    collection = open_collection(str(folder))
    summary = run_import(spark, lossless, collection, str(tmp_path / "out"))
    assert collection.note == ""
    assert (summary.done, summary.failed) == (1, 1)
    assert summary.faults[0].startswith(f"drawn_train_01: SlideReadError: {lost} cannot be read")
    assert len(imported_rows(tmp_path / "out")) == (told["wsi"] == "drawn_train_00").sum()


def test_a_name_that_leads_out_of_the_table_is_refused(kaggle: tuple[Path, pd.DataFrame], lossless: Recipe) -> None:
    folder, told = kaggle
    told.assign(wsi="../../elsewhere").to_csv(folder / "train_labels.csv", index=False)
    with pytest.raises(UsageError, match="cannot name a folder"):
        entries_of(open_collection(str(folder)), lossless)


@pytest.mark.parametrize("text", ["id,class\na,1\n", "id,label\na,2\n", "id,label\na,1\na,0\n"])
def test_a_list_of_another_kind_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "train_labels.csv").write_text(text)
    with pytest.raises(UsageError, match="is no list of ids, each once, with label 0 or 1"):
        open_collection(str(tmp_path))
