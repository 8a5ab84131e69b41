"""Which slides there are, what belongs to them, and what makes them new again."""

import os
import re
import shutil
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from fsspec.implementations.local import LocalFileSystem

from cluster.errors import UsageError
from preprocessing.hashing import stable_hash
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


def changed(recipe: Recipe, **groups: dict[str, object]) -> Recipe:
    """A recipe with other settings in some groups of its tiling."""
    tiling = recipe.tiling
    updates = {name: getattr(tiling, name).model_copy(update=values) for name, values in groups.items()}
    return recipe.model_copy(update={"tiling": tiling.model_copy(update=updates)})


def manifest(folder: Path, text: str) -> Path:
    path = folder / "manifest.csv"
    path.write_text(text)
    return path


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_validation_patients_are_drawn_by_hash_and_stay_drawn(small: Recipe, tmp_path: Path) -> None:
    """A new patient never moves another one, and all slides of a patient go together."""
    rows = [{"slide_id": f"s{i}", "path": f"s{i}.tif", "patient_id": f"P{i // 2}"} for i in range(400)]
    recipe = changed(small, splits={"validation": (), "test": (), "validation_fraction": 0.25})
    drawn_splits = []
    for count in (200, 400):
        pd.DataFrame(rows[:count]).to_csv(tmp_path / "m.csv", index=False)
        drawn_splits.append({name: entry.split for name, entry in listed(tmp_path / "m.csv", recipe).items()})
    few, many = drawn_splits
    assert {name: many[name] for name in few} == few
    assert all(many[f"s{2 * i}"] == many[f"s{2 * i + 1}"] for i in range(200))
    share = sum(split == "validation" for split in many.values()) / 400
    assert share == pytest.approx(0.25, abs=0.07)


# What counts as a slide


def test_flat_images_beside_slides_are_thumbnails(small: Recipe, tmp_path: Path) -> None:
    mixed = touched(tmp_path / "mixed", "a.svs", "a.jpg", "b.png", "notes.txt", "deeper/c.svs")
    flat = touched(tmp_path / "flat", "d.png", "e.JPG", "f.jpeg", "d_mask.png", "e_mask.tif")
    assert set(listed(mixed, small)) == {"a"}
    assert set(listed(flat, small)) == {"d", "e", "f"}
    assert listed(flat, small)["d"].mask == str(flat / "d_mask.png")
    assert set(listed(mixed / "*.png", small)) == {"b"}
    assert set(listed(mixed / "a.jpg", small)) == {"a"}
    assert set(listed(tmp_path / "*" / "*", small)) == {"a", "d", "e", "f"}  # each folder by itself


def test_masks_are_never_slides(small: Recipe, tmp_path: Path) -> None:
    folder = touched(tmp_path, "a_mask.tif", "b_mask.PNG", "c_mask.tiff")
    with pytest.raises(UsageError, match="no slides in"):
        listed(folder, small)
    with pytest.raises(UsageError, match="is a mask by its name"):
        listed(folder / "a_mask.tif", small)


def test_of_several_companions_the_first_ending_counts(small: Recipe, tmp_path: Path) -> None:
    touched(tmp_path, "a.svs", "a.xml", "a.geojson", "a_mask.png", "a_mask.tif", "b.svs", "b.geojson", "b_mask.png")
    entries = listed(tmp_path, small)
    assert (entries["a"].annotation, entries["a"].mask) == (str(tmp_path / "a.xml"), str(tmp_path / "a_mask.tif"))
    assert (entries["b"].annotation, entries["b"].mask) == (str(tmp_path / "b.geojson"), str(tmp_path / "b_mask.png"))
    assert listed(tmp_path / "b.svs", small)["b"] == entries["b"]  # asked for alone, it is the same slide


# Manifests


def test_manifest_tells_resolution_and_stratum_and_what_is_missing_fails_later(small: Recipe, tmp_path: Path) -> None:
    source = manifest(tmp_path, "slide_id,path,mpp,stratum,scanner\na,a.png,0.2525,G3,X\nb,none/b.svs,,,\n")
    touched(tmp_path, "a.png")
    entries = listed(source, small)
    assert (entries["a"].mpp, entries["a"].stratum, entries["a"].path) == (0.2525, "G3", str(tmp_path / "a.png"))
    assert (entries["b"].mpp, entries["b"].stratum) == (None, None)
    assert entries["b"].fingerprint


def test_what_a_manifest_says_changes_the_fingerprint(small: Recipe, tmp_path: Path) -> None:
    touched(tmp_path, "a.svs")
    said = ["slide_id,path\na,a.svs", "slide_id,path,mpp\na,a.svs,0.25", "slide_id,path,stratum\na,a.svs,G1"]
    prints = {listed(manifest(tmp_path, text), small)["a"].fingerprint for text in said}
    assert len(prints) == 3
    quota = changed(small, sampling={"max_normals": 7})
    assert listed(manifest(tmp_path, said[0]), quota)["a"].fingerprint not in prints


def test_label_of_a_manifest_goes_before_a_pattern(small: Recipe, tmp_path: Path) -> None:
    source = manifest(tmp_path, "slide_id,path,label\nnormal_1,a.svs,tumor\nnormal_2,b.svs,\n")
    entries = listed(source, small)  # the recipe takes normal_* for normal
    assert [(e.is_normal, e.is_tumor) for e in entries.values()] == [(False, True), (True, False)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slide_id,path,patiend_id\na,a.svs,P1\n", "unknown column 'patiend_id'; did you mean patient_id?"),
        ("slide_id,path,Split\na,a.svs,test\n", "unknown column 'Split'; did you mean split?"),
        ("slideid,path\na,a.svs\n", "unknown column 'slideid'; did you mean slide_id?"),
        ("name,path\na,a.svs\n", "lacks the column slide_id; it has name, path"),
        ("slide_id,path\na,a.svs\nb,./a.svs\n", "a and b are one file"),
        ("slide_id,path\na,a.svs\na,b.svs\n", "names the slide a twice"),
        ("slide_id,path\na,a.svs\na,a.svs\n", "names the slide a twice"),
        ("slide_id,path,mask\na,a.tif,m.tif\nb,m.tif,\n", "m.tif is the slide b and stands beside a"),
        ("slide_id,path\na,\n", "no slide_id or no path"),
        ("slide_id,path,mpp\na,a.svs,0\n", "mpp '0'; give micrometers per level-0 pixel"),
        ("slide_id,path,mpp\na,a.svs,fine\n", "mpp 'fine'"),
        ("slide_id,path,mpp\na,a.svs,inf\n", "mpp 'inf'"),
        ("slide_id,path,label\na,a.svs,maybe\n", "label 'maybe'; use normal or tumor"),
        ("slide_id,path,split\na,a.svs,dev\n", "is in split 'dev'"),
        ("", "cannot be read"),
    ],
)
def test_manifest_that_makes_no_sense_is_refused(small: Recipe, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as refusal:
        listed(manifest(tmp_path, text), small)
    assert "\n" not in str(refusal.value)


def test_further_columns_are_ignored_even_if_they_resemble_one_that_is_there(small: Recipe, tmp_path: Path) -> None:
    text = "slide_id,path,patient_id,patient_ids,mpp_x,patient_age,Unnamed: 0\na,a.svs,P1,P9,3,60,0\n"
    entry = listed(manifest(tmp_path, text), small)["a"]
    assert (entry.patient_id, entry.mpp) == ("P1", None)
    assert listed(manifest(tmp_path, "slide_id,path,patient_age\na,a.svs,60\n"), small)["a"].patient_id == "a"


# Quotas


@pytest.mark.parametrize("overall", [0, 3, 10, 12, 25])
def test_overall_quota_is_shared_out_evenly_and_to_the_last(small: Recipe, tmp_path: Path, overall: int) -> None:
    touched(tmp_path, *(f"s{i}.svs" for i in range(10)))
    quotas = {
        name: entry.max_normals
        for name, entry in listed(tmp_path, changed(small, sampling={"max_normals_overall": overall})).items()
    }
    assert sum(map(int, quotas.values())) == overall
    assert set(quotas.values()) <= {overall // 10, overall // 10 + 1}
    lowest = sorted(quotas, key=lambda name: stable_hash("quota", small.seed, name))[: overall % 10]
    assert {name for name, quota in quotas.items() if quota == overall // 10 + 1} == set(lowest)


@pytest.mark.parametrize(
    ("most", "overall", "expected"), [(None, None, {None}), (4, None, {4}), (1, 15, {1}), (2, 15, {1, 2})]
)
def test_the_smaller_quota_counts(
    small: Recipe, tmp_path: Path, most: int | None, overall: int | None, expected: set[int | None]
) -> None:
    touched(tmp_path, *(f"s{i}.svs" for i in range(10)))
    recipe = changed(small, sampling={"max_normals": most, "max_normals_overall": overall})
    assert {entry.max_normals for entry in listed(tmp_path, recipe).values()} == expected


# File systems


def test_link_is_the_file_that_it_points_to(drawn: Path, small: Recipe, tmp_path: Path) -> None:
    for path in drawn.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "gone.svs").symlink_to(tmp_path / "nowhere")
    direct = {name: entry.fingerprint for name, entry in listed(drawn, small).items()}
    linked = {name: entry.fingerprint for name, entry in listed(tmp_path, small).items()}
    assert linked.pop("gone")  # to fail by name when it is opened
    assert linked == direct


def test_slides_elsewhere_are_named_by_uri(small: Recipe) -> None:
    """A file system in memory stands for s3 and hdfs: its own names lack the scheme."""
    fs = fsspec.filesystem("memory")
    content = {f"/bucket/slides/s{i}.svs": b"x" * i for i in range(12)} | {
        "/bucket/slides/s3.xml": b"",
        "/bucket/other.svs": b"",
    }
    fs.pipe(content | {"/bucket/m.csv": b"slide_id,path,annotation\na,slides/s3.svs,memory://bucket/slides/s3.xml\n"})
    entries = listed("memory://bucket/slides", small)
    assert {entry.path for entry in entries.values()} == {f"memory://bucket/slides/s{i}.svs" for i in range(12)}
    assert entries["s3"].annotation == "memory://bucket/slides/s3.xml"
    assert listed("memory://bucket/slides/s[3]*", small)["s3"] == entries["s3"]
    assert listed("memory://bucket/slides/s3.svs", small)["s3"] == entries["s3"]
    named = listed("memory://bucket/m.csv", small)["a"]
    assert (named.path, named.annotation) == (entries["s3"].path, entries["s3"].annotation)
    before = entries["s4"].fingerprint
    fs.pipe({"/bucket/slides/s4.svs": b"other"})
    assert listed("memory://bucket/slides", small)["s4"].fingerprint != before
    fs.rm("/bucket", recursive=True)


def test_local_scheme_and_relative_paths_are_the_same_place(
    drawn: Path, small: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(drawn.parent)
    expected = listed(drawn, small)
    assert listed(f"file://{drawn}", small) == expected
    assert listed(f"{drawn.name}/", small) == expected


def test_each_folder_is_listed_once_and_few_files_are_asked_for_alone(
    small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = touched(tmp_path / "many", *(f"s{i}.svs" for i in range(300)))
    touched(tmp_path / "few", *(f"t{i}.svs" for i in range(300)))
    asked = []
    listing = LocalFileSystem.ls
    monkeypatch.setattr(LocalFileSystem, "ls", lambda fs, path, **how: asked.append(path) or listing(fs, path, **how))
    assert len(listed(many, small)) == 300
    assert asked == [str(many)]
    rows = [f"s{i},many/s{i}.svs" for i in range(300)] + [f"t{i},few/t{i}.svs" for i in range(3)]
    assert len(listed(manifest(tmp_path, "\n".join(["slide_id,path", *rows])), small)) == 303
    assert asked == [str(many)] * 2
