"""Slides that are labeled as a whole: words of a manifest, patches by tissue alone, quotas that thin all alike."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from cluster.errors import UsageError
from preprocessing.inventory import inventory, slides_of
from preprocessing.job import run_tiling
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from preprocessing.slide_entry import SlideEntry
from tests import reference
from tests.conftest import ROOT
from tests.tables import ledger_of, patches_of

GRADES = [
    "tiling.labels.source=slide",
    'tiling.labels.classes={low: ["1"], middle: ["2", "Moderate"], high: ["3"]}',
    "tiling.labels.ordered=true",
]


def graded(*overrides: str) -> Recipe:
    return load_recipe(str(ROOT / "conf" / "demo.yaml"), [*GRADES, *overrides])


def manifest(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        names = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def listed(source: Path, recipe: Recipe) -> dict[str, SlideEntry]:
    return {entry.slide_id: entry for entry in inventory(str(source), recipe.tiling, recipe.seed)}


def test_words_of_a_manifest_become_labels_and_strata(tmp_path: Path) -> None:
    rows = [
        {"slide_id": "a", "path": "a.svs", "label": 1, "annotation": "a.xml", "mask": "a_mask.tif"},
        {"slide_id": "b", "path": "b.svs", "label": "MODERATE"},
        {"slide_id": "c", "path": "c.svs", "label": 3, "stratum": "site 2"},
        {"slide_id": "d", "path": "d.svs"},
    ]
    entries = listed(manifest(tmp_path / "slides.csv", rows), graded())
    assert [entry.label for entry in entries.values()] == [0, 1, 2, None]
    assert [entry.stratum for entry in entries.values()] == ["0", "1", "site 2", None]
    assert not any(entry.is_normal or entry.is_tumor or entry.annotation or entry.mask for entry in entries.values())


def test_a_table_of_numbers_with_gaps_is_read_as_numbers(tmp_path: Path) -> None:
    table = pd.DataFrame({"slide_id": ["a", "b"], "path": ["a.svs", "b.svs"], "label": [3.0, None]})
    table.to_parquet(tmp_path / "slides.parquet")
    assert [entry.label for entry in listed(tmp_path / "slides.parquet", graded()).values()] == [2, None]


def test_another_label_is_another_slide_and_no_label_is_the_slide_of_before(tmp_path: Path) -> None:
    def fingerprint(recipe: Recipe, **label: object) -> str:
        rows = [{"slide_id": "a", "path": "a.svs", "stratum": "one"} | label]
        return listed(manifest(tmp_path / "slides.csv", rows), recipe)["a"].fingerprint

    of_labels = [fingerprint(graded(), label=word) for word in ("1", "2", "")]
    assert len(set(of_labels)) == 3
    by_places = load_recipe(str(ROOT / "conf" / "demo.yaml"))
    assert of_labels[2] == fingerprint(by_places)


def test_an_unknown_word_is_refused_with_the_known_ones_before_anything_starts(tmp_path: Path) -> None:
    source = manifest(tmp_path / "slides.csv", [{"slide_id": "a", "path": "a.svs", "label": "4"}])
    with pytest.raises(UsageError, match=r"slide a has label '4'.* knows 1, 2, moderate, 3"):
        listed(source, graded())
    with pytest.raises(UsageError, match=r"label '4'; use normal or tumor, or .*tiling\.labels\.source slide"):
        listed(source, load_recipe(str(ROOT / "conf" / "demo.yaml")))
    assert [entry.word for entry in slides_of(str(source))] == ["4"]  # `inspect` has no recipe to ask


def test_all_tissue_of_a_slide_has_its_label_and_quotas_thin_all_grades(
    spark: SparkSession, drawn: Path, tmp_path: Path
) -> None:
    """What lies beside the slides is wrong on purpose: it is never opened."""
    names = {"tumor_01": 1, "tumor_02": 3, "normal_01": None}
    rows = [
        {"slide_id": name, "path": drawn / f"{name}.tif", "label": label, "annotation": "gone.xml", "mask": "gone.tif"}
        for name, label in names.items()
    ]
    recipe = graded("tiling.sampling.max_normals=40", "tiling.splits.validation=[]")
    source = manifest(tmp_path / "slides.csv", rows)
    summary = run_tiling(spark, recipe, inventory(str(source), recipe.tiling, 1), str(tmp_path / "out"))
    assert (summary.done, summary.positives) == (3, 40)
    for name, label in names.items():
        found = reference.candidates(drawn / f"{name}.tif", None, recipe.tiling.model_dump())
        assert len(found) > 60
        wanted = sorted(found, key=lambda patch: reference.patch_id(name, recipe.recipe_id, patch.x, patch.y))[:40]
        got = patches_of(tmp_path / "out", name)
        assert {*zip(got["x"], got["y"], strict=True)} == {(patch.x, patch.y) for patch in wanted}
        assert got["center_fraction"].isna().all()
        assert (got["tissue_fraction"] > np.float32(0.3)).all()
        assert got["label"].isna().all() if label is None else (got["label"] == label - 1).all()
    positives = ledger_of(tmp_path / "out").set_index("slide_id")["positives"]
    assert positives.to_dict() == {"tumor_01": 0, "tumor_02": 40, "normal_01": 0}
