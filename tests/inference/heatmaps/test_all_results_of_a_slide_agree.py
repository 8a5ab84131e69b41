"""What one slide leaves, assembled from shards of predictions, tells one story at the same places."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from PIL import Image
from scipy import ndimage

from cluster.storage import Store
from inference.assemble import assemble
from inference.heatmaps.filling import opened_cells
from inference.heatmaps.overlap import Overlap
from inference.predict import PREDICTION_SCHEMA, prediction_recipe
from inference.slide_files import COMPANIONS, LESIONS, POLYGONS, PYRAMID, SCORE
from preprocessing.grid import blocks, to_level_0
from preprocessing.readers.opening import open_proved
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from preprocessing.scales import resolve_scales
from preprocessing.shard_file import WRITING, OutputError
from preprocessing.slide_entry import SlideEntry
from preprocessing.slide_facts import SlideFacts
from preprocessing.slide_plan import SlidePlan, grid_of
from tests.conftest import ROOT

INSIDE, OUTSIDE = 0.9, 0.1
OVERLAPS: tuple[Overlap, ...] = ("center", "mean", "maximum")


@dataclass(frozen=True)
class Judged:
    """A slide and predictions that know its mask.

    Attributes:
        plan, recipe: of it.
        rows: every window that was judged, columns of `PREDICTION_SCHEMA`.
        mask: (height, width) bool, level 0.
    """

    plan: SlidePlan
    recipe: Recipe
    rows: pa.Table
    mask: np.ndarray

    def assembled(self, staging: Path, parts: Sequence[pa.Table]) -> Path:
        """Write shards and assemble; returns the folder."""
        slide_id = self.plan.entry.slide_id
        (staging / WRITING).mkdir(parents=True)
        (staging / f"slide_id={slide_id}").mkdir()
        for number, part in enumerate(parts):
            pq.write_table(part, staging / f"slide_id={slide_id}" / f"part-{number:05d}.parquet")
        assemble(self.plan, self.recipe, "model", "onnx float32", str(staging))
        return staging

    def cells(self, staging: Path, parts: Sequence[pa.Table], overlap: Overlap) -> np.ndarray:
        """The cells alone, from shards that are written first."""
        (staging / "shards").mkdir(parents=True)
        for number, part in enumerate(parts):
            pq.write_table(part, staging / "shards" / f"{number}.parquet")
        store, finest = Store(str(staging)), self.plan.scales[0]
        with opened_cells(store, "shards", self.recipe.tiling, finest, overlap) as found:
            return found.coarse_values(1)


def judged(slide: Path, mask: Path, overlap: str) -> Judged:
    """Windows of a slide, the certain ones with their middle in the mask; none of the glass."""
    overrides = [f"inference.overlap={overlap}", "inference.stride=16", "tiling.offset=5"]
    recipe = prediction_recipe(load_recipe(str(ROOT / "conf" / "demo.yaml"), overrides))
    reader, choice = open_proved(str(slide))
    with reader:
        info = reader.info
        gray = ndimage.uniform_filter(reader.read(0, 0, 0, info.width, info.height)[..., 1], 65)
    with openslide.OpenSlide(str(mask)) as file:
        truth = np.asarray(file.read_region((0, 0), 0, file.dimensions))[..., 0] > 127
    scales = resolve_scales(info, info.mpp, recipe.tiling)
    entry = SlideEntry(slide.stem, str(slide), annotation=str(slide.with_suffix(".xml")))
    plan = SlidePlan(entry, SlideFacts(info, choice.name, mpp=info.mpp), choice, scales, 0)
    grid, finest = grid_of(recipe, slide.stem), scales[0]
    origins = [b.origins(grid, finest.width, finest.height) for b in blocks(grid, finest.width, finest.height, 512)]
    xy = to_level_0(np.concatenate(origins), finest.downsample)
    x, y = (xy + round(recipe.tiling.window * finest.downsample / 2)).T
    keep = gray[y, x] < 230
    probability = np.where(truth[y, x], INSIDE, OUTSIDE).astype(np.float32)[keep]
    ones = np.ones(keep.sum(), np.float32)
    columns = [xy[keep, 0], xy[keep, 1], probability, ones, ["model"] * len(ones)]
    rows = pa.Table.from_arrays([pa.array(column) for column in columns], schema=PREDICTION_SCHEMA)
    return Judged(plan, recipe, rows, truth)


@pytest.fixture(scope="module")
def center(drawn: Path) -> Judged:
    return judged(drawn / "tumor_02.tif", drawn / "tumor_02_mask.tif", "center")


@pytest.fixture(scope="module")
def folder(center: Judged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return center.assembled(tmp_path_factory.mktemp("assembled") / "staging", [center.rows])


def test_every_companion_is_there_and_nothing_half_written(folder: Path) -> None:
    assert all((folder / companion.format("tumor_02")).stat().st_size > 0 for companion in COMPANIONS)
    assert list((folder / WRITING).iterdir()) == []
    with Image.open(folder / "heatmaps" / "tumor_02.png") as picture:
        picture.verify()


def test_the_pyramid_shows_the_mask_at_the_same_coordinates(folder: Path, center: Judged) -> None:
    """By OpenSlide alone: heat above one half under level-0 pixels of the slide that the mask has, but for rims."""
    with openslide.OpenSlide(str(folder / PYRAMID.format("tumor_02"))) as heat:
        pixels = np.asarray(heat.read_region((0, 0), 0, heat.dimensions))[..., 0]
        says = json.loads(heat.properties["tiff.ImageDescription"])
    fine = says["downsample"]
    mask = center.mask[fine // 2 :: fine, fine // 2 :: fine][: pixels.shape[0], : pixels.shape[1]]
    shown = pixels > 128
    judged_pixels = pixels > 0
    agreeing = (shown == mask)[judged_pixels].mean()
    assert agreeing > 0.97
    for shift in (-says["step"], says["step"]):  # a cell off in any direction agrees less
        for axis in (0, 1):
            moved = np.roll(shown, round(shift / fine), axis)
            assert (moved == mask)[judged_pixels].mean() < agreeing - 0.005
    assert set(np.unique(pixels)) == {0, 1 + round(254 * OUTSIDE), 1 + round(254 * INSIDE)}


def test_areas_of_score_and_polygons_are_the_same(folder: Path, center: Judged) -> None:
    (score,) = pq.read_table(folder / SCORE.format("tumor_02")).to_pylist()
    features = json.loads((folder / POLYGONS.format("tumor_02")).read_text())["features"]
    measured = sum(feature["properties"]["measurements"]["area mm2"] for feature in features)
    assert measured == pytest.approx(score["positive_area_mm2"])
    area = (16 * center.plan.scales[0].downsample * center.plan.facts.mpp / 1000) ** 2
    assert score["tissue_area_mm2"] == pytest.approx(len(center.rows) * area)
    positive = (center.rows["probability"].to_numpy() > 0.5).sum()
    assert score["positive_area_mm2"] == pytest.approx(positive * area)
    assert (score["score"], score["engine"]) == (pytest.approx(INSIDE), "onnx float32")


def test_lesions_lie_in_polygons_and_where_the_heat_is(folder: Path) -> None:
    features = json.loads((folder / POLYGONS.format("tumor_02")).read_text())["features"]
    areas = shapely.union_all([shapely.geometry.shape(feature["geometry"]) for feature in features])
    lines = (folder / LESIONS.format("tumor_02")).read_text().splitlines()
    (score,) = pq.read_table(folder / SCORE.format("tumor_02")).to_pylist()
    assert len(lines) == score["lesions"] > 0
    with openslide.OpenSlide(str(folder / PYRAMID.format("tumor_02"))) as heat:
        fine = json.loads(heat.properties["tiff.ImageDescription"])["downsample"]
        for line in lines:
            _, x, y, probability = line.split(",")
            assert areas.contains(shapely.Point(int(x), int(y)))
            value = np.asarray(heat.read_region((int(x) // fine, int(y) // fine), 0, (1, 1)))[0, 0, 0]
            assert value == 1 + round(254 * float(probability))


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_how_predictions_are_cut_into_shards_does_not_matter(center: Judged, tmp_path: Path, overlap: Overlap) -> None:
    shuffled = center.rows.take(np.random.default_rng(1).permutation(len(center.rows)))
    cuts = [shuffled.slice(0, 7), shuffled.slice(7, 100), shuffled.slice(107)]
    one, other = (center.cells(tmp_path / str(len(parts)), parts, overlap) for parts in ([center.rows], cuts))
    np.testing.assert_array_equal(one, other)


def test_wide_rules_spread_and_the_center_rule_does_not(center: Judged, tmp_path: Path) -> None:
    values = {overlap: center.cells(tmp_path / overlap, [center.rows], overlap) for overlap in OVERLAPS}
    areas = {overlap: (found > 0.5).sum() for overlap, found in values.items()}
    assert all(np.isfinite(found).sum() == len(center.rows) for found in values.values())
    assert areas["maximum"] > 1.2 * areas["center"]
    assert 0.7 < areas["mean"] / areas["center"] < 1.3


def test_an_output_that_cannot_be_written_is_the_slides_failure(center: Judged, tmp_path: Path) -> None:
    (tmp_path / "heatmaps").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="cannot be written"):
        center.assembled(tmp_path, [center.rows])


def test_a_real_slide(real: Path, tmp_path: Path) -> None:
    """Lesions laid out of real tissue: the heat covers what the mask of the slide has."""
    slide = judged(real / "mosaic" / "tumor_104.tif", real / "mosaic" / "tumor_104_mask.tif", "mean")
    folder = slide.assembled(tmp_path / "staging", [slide.rows])
    features = json.loads((folder / POLYGONS.format("tumor_104")).read_text())["features"]
    assert all(shapely.geometry.shape(feature["geometry"]).is_valid for feature in features)
    large = [f for f in features if f["properties"]["measurements"]["area mm2"] > 0.003]
    heat = shapely.union_all([shapely.geometry.shape(feature["geometry"]) for feature in large])
    rows, columns = np.nonzero(slide.mask[::64, ::64])
    points = shapely.points(columns * 64, rows * 64)
    assert shapely.contains(heat, points).mean() > 0.8
    assert heat.area == pytest.approx(slide.mask.sum(), rel=0.25)
