"""Positions, labels and pixels are those of the slow, obvious reference, on real and on drawn slides."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import tifffile
from PIL import Image
from pyspark.sql import SparkSession

from preprocessing.crops import windows_at_scales
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.readers.opening import open_slide
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.scales import resolve_scales
from tests import reference
from tests.conftest import ROOT
from tests.tables import patches_of


def tile(spark: SparkSession, recipe: Recipe, slides: Path, out: Path) -> None:
    summary = run_tiling(spark, recipe, inventory(str(slides), recipe.tiling, recipe.seed), str(out))
    assert summary.failed == 0, summary.faults


def assert_equals_reference(slides: Path, recipe: Recipe, out: Path, source: str) -> None:
    tiling = recipe.tiling.model_dump()
    level = recipe.tiling.scales[0].level
    for path in sorted(slides.glob("*.tif")):
        if path.stem.endswith("_mask"):
            continue
        annotated = None
        if path.with_suffix(".xml").exists():
            mask = path.with_name(f"{path.stem}_mask.tif")
            by_xml = reference.annotated_by_xml(path.with_suffix(".xml"), path, level)
            annotated = by_xml if source == "polygons" else reference.annotated_by_mask(mask, level)
        found = reference.candidates(path, annotated, tiling)
        wanted = reference.chosen(found, path.stem, recipe.recipe_id, tiling["sampling"])
        got = patches_of(out, path.stem)
        expected = {(p.x, p.y): (p.label, p.center_fraction, p.tissue_fraction) for p in wanted}
        assert len(expected) > 0
        rows = zip(got["label"], got["center_fraction"], got["tissue_fraction"], strict=True)
        assert dict(zip(zip(got["x"], got["y"], strict=True), rows, strict=True)) == {
            where: (label, np.float32(tumor), np.float32(tissue)) for where, (label, tumor, tissue) in expected.items()
        }
        assert len(got) == len(expected)
        ids = {(x, y): reference.patch_id(path.stem, recipe.recipe_id, x, y) for x, y in expected}
        assert dict(zip(zip(got["x"], got["y"], strict=True), got["patch_id"], strict=True)) == ids
        assert_images_equal_reference(path, wanted, got, recipe)


def assert_images_equal_reference(path: Path, wanted: list, got: object, recipe: Recipe) -> None:
    """Stored bytes are the encoding of exactly the reference's pixels."""
    scales = [reference.downsample(path, scale.level) for scale in recipe.tiling.scales]
    images = [reference.whole_level(path, scale.level) for scale in recipe.tiling.scales]
    stored = {(row.x, row.y): row for row in got.itertuples()}
    for patch in wanted[:: max(1, len(wanted) // 25)]:
        for k, image in enumerate(images):
            pixels = reference.crop(image, patch, scales[0], scales[k], recipe.tiling.window, recipe.tiling.margin)
            data = getattr(stored[patch.x, patch.y], f"image_{k}")
            if recipe.tiling.image.format == "png":
                assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
            else:
                settings = recipe.tiling.image
                assert data == simplejpeg.encode_jpeg(pixels, settings.quality, "RGB", settings.subsampling)


@pytest.mark.parametrize("source", ["polygons", "mask"])
def test_real_mosaics_with_the_camelyon16_recipe(spark: SparkSession, real: Path, tmp_path: Path, source: str) -> None:
    recipe = load_recipe(str(ROOT / "conf" / "camelyon16.yaml"), [f"tiling.labels.source={source}"])
    tile(spark, recipe, real / "mosaic", tmp_path)
    assert_equals_reference(real / "mosaic", recipe, tmp_path, source)


@pytest.mark.parametrize("source", ["polygons", "mask"])
def test_drawn_slides_in_many_small_blocks(
    spark: SparkSession, drawn: Path, small: Recipe, tmp_path: Path, source: str
) -> None:
    labels = small.tiling.labels.model_copy(update={"source": source})
    recipe = small.model_copy(update={"tiling": small.tiling.model_copy(update={"labels": labels})})
    tile(spark, recipe, drawn, tmp_path)
    assert_equals_reference(drawn, recipe, tmp_path, source)


def test_a_png_mask_gives_the_patches_of_the_tiff_mask(
    spark: SparkSession, drawn: Path, small: Recipe, tmp_path: Path
) -> None:
    labels = small.tiling.labels.model_copy(update={"source": "mask"})
    recipe = small.model_copy(update={"tiling": small.tiling.model_copy(update={"labels": labels})})
    folders = [tmp_path / "tiff", tmp_path / "png"]
    for folder in folders:
        folder.mkdir()
        shutil.copy2(drawn / "tumor_01.tif", folder)
    with open_slide(str(drawn / "tumor_01_mask.tif")) as mask:
        pixels = mask.read(0, 0, 0, *mask.info.level_sizes[0], background=0)
    tifffile.imwrite(folders[0] / "tumor_01_mask.tif", pixels[..., 0], tile=(256, 256))
    Image.fromarray(pixels[..., 0]).save(folders[1] / "tumor_01_mask.png")
    for folder in folders:
        tile(spark, recipe, folder, folder / "out")
    by_tiff, by_png = (patches_of(folder / "out") for folder in folders)
    assert (by_tiff["label"] > 0).sum() > 10
    assert by_tiff.equals(by_png)


def test_lossless_images_with_two_offsets_and_few_normals(spark: SparkSession, drawn: Path, tmp_path: Path) -> None:
    overrides = ["tiling.image.format=png", "tiling.offset=[13, 31]"]
    overrides += ["tiling.sampling.normals_per_tumor=0.3"]
    overrides += ["tiling.window=81", "tiling.center=32", "tiling.block=200"]  # of different parity
    recipe = load_recipe(str(ROOT / "conf" / "demo.yaml"), overrides)
    tile(spark, recipe, drawn, tmp_path)
    assert_equals_reference(drawn, recipe, tmp_path, "polygons")


def test_a_margin_is_stored_around_the_same_windows(spark: SparkSession, drawn: Path, tmp_path: Path) -> None:
    """Positions, labels and shares stay; at the rim of the slide the margin is white at scale 0, too."""
    overrides = ["tiling.margin=6", "tiling.sampling.normals_per_tumor=1000", "tiling.tissue.min_fraction=0"]
    recipe = load_recipe(str(ROOT / "conf" / "demo.yaml"), overrides)
    tile(spark, recipe, drawn, tmp_path)
    assert_equals_reference(drawn, recipe, tmp_path, "polygons")
    rim = patches_of(tmp_path, "tumor_01").query("x == 0").iloc[0]
    stored = simplejpeg.decode_jpeg(rim["image_0"])
    assert stored.shape == (92, 92, 3)
    assert (stored[:, :4] > 250).all()


def test_windows_at_the_rim_are_white_outside(drawn: Path, small: Recipe) -> None:
    """At the coarser scale the window of a corner reaches beyond the slide."""
    path = drawn / "tumor_01.tif"
    with open_slide(str(path)) as slide:
        scaled = ScaledSlide(slide, resolve_scales(slide.info, None, small.tiling))
        _, coarse = (list(of_scale) for of_scale in windows_at_scales(scaled, np.array([[0, 0]], np.int32), 80, None))
    corner = reference.ReferencePatch(0, 0, 0, 0, 0, 0, 0)
    expected = reference.crop(reference.whole_level(path, 2), corner, 2.0, 4.0, 80)
    assert np.array_equal(coarse[0], expected)
    assert (expected[:20] == 255).all()
    assert (expected[:, :20] == 255).all()


def test_annotation_changed_between_runs_changes_labels(
    spark: SparkSession, drawn: Path, small: Recipe, tmp_path: Path
) -> None:
    slides = tmp_path / "slides"
    shutil.copytree(drawn, slides)
    out = tmp_path / "out"
    tile(spark, small, slides, out)
    before = patches_of(out, "tumor_01")["label"].sum()
    xml = slides / "tumor_01.xml"
    whole = '<Coordinate Order="{}" X="{}" Y="{}" />'
    square = "".join(whole.format(i, x, y) for i, (x, y) in enumerate([(0, 0), (1024, 0), (1024, 1024), (0, 1024)]))
    xml.write_text(
        '<ASAP_Annotations><Annotations><Annotation Name="all" Type="Polygon" PartOfGroup="Tumor"><Coordinates>'
        f"{square}</Coordinates></Annotation></Annotations></ASAP_Annotations>"
    )
    tile(spark, small, slides, out)
    after = patches_of(out, "tumor_01")
    assert before < len(after)
    assert (after["label"] == 1).all()
