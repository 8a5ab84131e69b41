"""Which slides there are, what belongs to them, and what makes them new again."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from preprocessing.inventory import SlideEntry, inventory
from preprocessing.recipe import Recipe


def listed(source: object, recipe: Recipe) -> dict[str, SlideEntry]:
    return {entry.slide_id: entry for entry in inventory(str(source), recipe.tiling, recipe.seed)}


def test_companions_beside_a_slide_are_found_and_are_no_slides(drawn: Path, small: Recipe) -> None:
    entries = listed(drawn, small)
    assert set(entries) == {"normal_01", "tumor_01", "tumor_02"}
    assert entries["tumor_01"].annotation == str(drawn / "tumor_01.xml")
    assert entries["tumor_01"].mask == str(drawn / "tumor_01_mask.tif")
    assert (entries["normal_01"].annotation, entries["normal_01"].mask) == (None, None)


def test_slide_without_annotation_is_normal_only_when_somebody_says_so(drawn: Path, small: Recipe) -> None:
    assert listed(drawn, small)["normal_01"].is_normal
    silent = small.tiling.labels.model_copy(update={"normal_slides": ()})
    recipe = small.model_copy(update={"tiling": small.tiling.model_copy(update={"labels": silent})})
    assert not listed(drawn, recipe)["normal_01"].is_normal


def test_glob_and_single_file(drawn: Path, small: Recipe) -> None:
    assert set(listed(drawn / "tumor*.tif", small)) == {"tumor_01", "tumor_02"}
    assert set(listed(drawn / "tumor_02.tif", small)) == {"tumor_02"}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_manifest_says_all_there_is_to_know(drawn: Path, small: Recipe, tmp_path: Path, ending: str) -> None:
    rows = pd.DataFrame(
        {
            "slide_id": ["A", "B"],
            "path": [str(drawn / "tumor_01.tif"), "b.tif"],
            "annotation": [str(drawn / "tumor_01.xml"), None],
            "patient_id": ["P1", "P2"],
            "split": ["test", "validation"],
            "label": ["tumor", "normal"],
        }
    )
    shutil.copy(drawn / "normal_01.tif", tmp_path / "b.tif")
    source = tmp_path / f"manifest.{ending}"
    rows.to_csv(source, index=False) if ending == "csv" else rows.to_parquet(source)
    entries = listed(source, small)
    assert (entries["A"].split, entries["A"].patient_id, entries["A"].mask) == ("test", "P1", None)
    assert entries["B"].path == str(tmp_path / "b.tif")
    assert (entries["A"].is_normal, entries["B"].is_normal) == (False, True)


def test_fingerprint_follows_files_and_meaning_not_the_place(drawn: Path, small: Recipe, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    shutil.copytree(drawn, folder)  # keeps times
    before = listed(drawn, small)
    assert {k: e.fingerprint for k, e in listed(folder, small).items()} == {k: e.fingerprint for k, e in before.items()}
    os.utime(folder / "tumor_01.xml")
    (folder / "tumor_02_mask.tif").unlink()
    splits = small.tiling.splits.model_copy(update={"test": ("normal_01",)})
    moved = small.model_copy(update={"tiling": small.tiling.model_copy(update={"splits": splits})})
    after = listed(folder, moved)
    assert all(after[name].fingerprint != before[name].fingerprint for name in before)


def test_validation_patients_are_drawn_by_hash_and_stay_drawn(small: Recipe, tmp_path: Path) -> None:
    """A new patient never moves another one, and all slides of a patient go together."""
    rows = [{"slide_id": f"s{i}", "path": f"s{i}.tif", "patient_id": f"P{i // 2}"} for i in range(400)]
    splits = small.tiling.splits.model_copy(update={"validation": (), "test": (), "validation_fraction": 0.25})
    recipe = small.model_copy(update={"tiling": small.tiling.model_copy(update={"splits": splits})})
    drawn_splits = []
    for count in (200, 400):
        pd.DataFrame(rows[:count]).to_csv(tmp_path / "m.csv", index=False)
        drawn_splits.append({name: entry.split for name, entry in listed(tmp_path / "m.csv", recipe).items()})
    few, many = drawn_splits
    assert {name: many[name] for name in few} == few
    assert all(many[f"s{2 * i}"] == many[f"s{2 * i + 1}"] for i in range(200))
    share = sum(split == "validation" for split in many.values()) / 400
    assert share == pytest.approx(0.25, abs=0.07)
