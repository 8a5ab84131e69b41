"""CBIS-DDSM as published becomes images, masks and manifests; what is damaged is named and costs nothing else."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pyspark.sql import SparkSession

from cluster.errors import UsageError
from histospark.drawing.mammograms import draw_cbis_ddsm
from preprocessing.datasets.listing import Folder
from preprocessing.mammograms.cbis_ddsm import listed_mammograms
from preprocessing.mammograms.job import run_preparation
from preprocessing.manifest import read_manifest

BOX = (144, 112)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "CBIS-DDSM"
    draw_cbis_ddsm(folder, seed=2, patients=6, height=360, width=260)
    return folder


def test_lists_are_followed_by_folder_and_every_label_is_kept(source: Path) -> None:
    found = {it.slide_id: it for it in listed_mammograms(Folder.of(str(source)))}
    lists = pd.concat(pd.read_csv(path) for path in source.glob("*_set.csv"))
    assert len(found) == 6
    assert sum(len(it.regions) for it in found.values()) == len(lists) == 7
    for _, line in lists.iterrows():
        mammogram = found[line["image file path"].split("/")[0]]
        assert mammogram.patient_id == line["patient_id"]
        wanted = {"calcification": 1, "mass": 3}[line["abnormality type"]] + (line["pathology"] == "MALIGNANT")
        assert wanted in [region.label for region in mammogram.regions]
        assert mammogram.malignant == (line["pathology"] == "MALIGNANT")  # as drawn: one pathology a patient


def test_a_view_of_two_lists_is_one_mammogram_with_the_regions_of_both(source: Path) -> None:
    """Else a region that the one list names would be background in the other's image."""
    masses = pd.read_csv(source / "mass_case_description_train_set.csv")
    line = masses.iloc[[0]]
    case = line["image file path"].iloc[0].split("/")[0]
    other = case.replace("Mass", "Calc")
    for folder in source.glob(f"{case}*"):
        shutil.copytree(folder, source / folder.name.replace(case, other))
    again = line.replace({case: other}, regex=True).assign(**{"abnormality type": "calcification"})
    listed = pd.read_csv(source / "calc_case_description_train_set.csv")
    pd.concat([listed, again]).to_csv(source / "calc_case_description_train_set.csv", index=False)
    found = {it.slide_id: it for it in listed_mammograms(Folder.of(str(source)))}
    assert len(found) == 6
    assert case not in found
    labels = sorted(region.label for region in found[other].regions)
    assert labels == ([1, 3] if line["pathology"].iloc[0] != "MALIGNANT" else [2, 4])


@pytest.mark.parametrize("gone", ["*_CC/*", "*_CC_1/*"])
def test_missing_image_or_region_is_refused_by_name(gone: str, source: Path) -> None:
    folder = sorted(source.glob(gone))[0]
    shutil.rmtree(folder)
    with pytest.raises(UsageError, match=f"no images in {folder.parent.name}"):
        listed_mammograms(Folder.of(str(source)))


def test_damaged_image_fails_alone_and_comes_with_the_next_run(
    source: Path, spark: SparkSession, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    broken = sorted(source.glob("*_CC/*/*.dcm"))[0]
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    first = run_preparation(spark, listed_mammograms(Folder.of(str(source))), str(out), BOX)
    assert (first.done, first.failed) == (5, 1)
    assert "cannot be decoded" in first.faults[0]
    assert len(read_manifest(str(out / "regions.csv"))) == 5
    broken.write_bytes(whole)
    second = run_preparation(spark, listed_mammograms(Folder.of(str(source))), str(out), BOX)
    assert (second.done, second.skipped) == (1, 5)
    regions, images = read_manifest(str(out / "regions.csv")), pd.read_csv(out / "whole.csv", dtype=str)
    assert [entry.slide_id for entry in regions] == sorted(path.name for path in source.glob("*_CC"))
    assert set(images["label"]) == {"benign", "malignant"}
    for entry in regions:
        image, mask = (np.asarray(Image.open(path)) for path in (entry.path, str(entry.mask)))
        assert image.shape == mask.shape == (144, 144)
        label = images.set_index("slide_id").loc[entry.slide_id, "label"]
        assert (mask.max() % 2 == 0) == (label == "malignant")
        assert image[mask > 0].min() > 0, "regions lie on the breast"
