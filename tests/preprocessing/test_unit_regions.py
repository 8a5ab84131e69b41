"""What units read lies in their regions, at every scale; the regions are few, and no larger than they have to be."""

import numpy as np
import pytest
from numpy.typing import NDArray

from preprocessing.crops import windows_at_scales
from preprocessing.grid import Grid, count_shards, shard_areas, shard_blocks, unit_shape
from preprocessing.inventory import SlideEntry
from preprocessing.readers.base import Reader, Region, SlideInfo
from preprocessing.readers.opening import ReaderChoice
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.scales import resolve_scales
from preprocessing.slide_facts import SlideFacts
from preprocessing.slide_plan import SlidePlan
from preprocessing.unit_regions import unit_regions
from tests.conftest import ROOT

WIDTH, HEIGHT, BLOCK, BLOCKS = 2300, 1500, 256, 6
INFO = SlideInfo(((WIDTH, HEIGHT), (WIDTH // 2, HEIGHT // 2), (WIDTH // 4, HEIGHT // 4)), (1, 2, 4), 0.25, None, "none")


class Noting(Reader):
    """A slide without pixels that remembers what was read."""

    name = "noting"
    path = ""
    info = INFO

    def __init__(self) -> None:
        self.read_regions: list[Region] = []

    def read(self, level: int, x: int, y: int, width: int, height: int, background: int = 255) -> NDArray[np.uint8]:
        self.read_regions.append(Region(level, x, y, width, height))
        return np.full((height, width, 3), background, np.uint8)

    def _read_inside(self, level: int, x: int, y: int, width: int, height: int, background: int) -> NDArray[np.uint8]:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is open."""


def planned(*scales: str, jitter: int = 0) -> tuple[SlidePlan, Recipe]:
    overrides = [f"tiling.scales=[{', '.join(scales)}]", f"tiling.block={BLOCK}", f"tiling.blocks_per_shard={BLOCKS}"]
    overrides += ["tiling.window=80", "tiling.stride=40", f"tiling.jitter={jitter}"]
    recipe = load_recipe(str(ROOT / "conf" / "camelyon16.yaml"), overrides)
    entry, facts = SlideEntry("slide", "slide.tif"), SlideFacts(INFO, "direct", "", 0.25, "slide")
    slide_scales = resolve_scales(INFO, 0.25, recipe.tiling)
    finest = slide_scales[0]
    shards = count_shards(Grid(80, 40), finest.width, finest.height, BLOCK, BLOCKS)
    return SlidePlan(entry, facts, ReaderChoice("direct"), slide_scales, shards), recipe


def read_by(plan: SlidePlan, shards: range, recipe: Recipe) -> list[Region]:
    """What is read for all windows of some units, block by block."""
    reader = Noting()
    slide = ScaledSlide(reader, plan.scales)
    for shard in shards:
        grid, blocks = plan.blocks(shard, recipe)
        for block in blocks:
            origins = block.origins(grid, plan.scales[0].width, plan.scales[0].height)
            for windows in windows_at_scales(slide, origins, 80, None):
                assert len(list(windows)) == len(origins)
    return reader.read_regions


def covered(regions: list[Region], level: int) -> NDArray[np.bool_]:
    """Of the pixels of a level."""
    width, height = INFO.level_sizes[level]
    inside = np.zeros((height, width), bool)
    for region in regions:
        if region.level == level:
            left, top = max(0, region.x), max(0, region.y)
            inside[top : max(0, region.y + region.height), left : max(0, region.x + region.width)] = True
    return inside


@pytest.mark.parametrize(
    ("scales", "jitter"),
    [
        (("{level: 0}", "{level: 1}", "{level: 2}"), 0),
        (("{mpp: 0.25}", "{mpp: 0.7}"), 0),
        (("{mpp: 0.5}", "{mpp: 1.3}"), 15),
    ],
)
def test_what_is_read_lies_in_the_regions_and_little_more(scales: tuple[str, ...], jitter: int) -> None:
    plan, recipe = planned(*scales, jitter=jitter)
    for shards in (range(plan.shards), range(1, 3), range(2, plan.shards), range(plan.shards - 1, plan.shards)):
        regions, read = unit_regions(plan, shards, recipe), read_by(plan, shards, recipe)
        assert {region.level for region in regions} == {scale.level for scale in plan.scales}
        for level in {region.level for region in regions}:
            wanted, needed = covered(regions, level), covered(read, level)
            assert not (needed & ~wanted).any()
            assert (wanted & ~needed).sum() < 0.3 * wanted.sum()  # the slide's rim, and a step of the grid


def test_no_units_have_no_region() -> None:
    plan, recipe = planned("{level: 0}")
    assert unit_regions(plan, range(3, 3), recipe) == []


@pytest.mark.parametrize(("width", "height"), [(2300, 1500), (700, 3000), (4000, 300), (90, 90)])
def test_areas_are_the_blocks_of_their_units(width: int, height: int) -> None:
    grid = Grid(80, 40)
    units = count_shards(grid, width, height, BLOCK, BLOCKS)
    columns, rows = unit_shape(BLOCKS)
    for start in range(units):
        for stop in range(start, units + 1):
            areas = shard_areas(range(start, stop), grid, width, height, BLOCK, BLOCKS)
            assert len(areas) <= 3
            squares = [
                (x, y) for left, top, wide, high in areas
                for y in range(top, top + high, BLOCK) for x in range(left, left + wide, BLOCK)
            ]  # fmt: skip
            blocks = {
                (block.x, block.y)
                for unit in range(start, stop)
                for block in shard_blocks(unit, grid, width, height, BLOCK, BLOCKS)
            }
            assert len(squares) == len(set(squares)) == (stop - start) * columns * rows
            assert blocks <= set(squares)
            assert all(x >= width - 80 - BLOCK or y >= height - 80 - BLOCK for x, y in set(squares) - blocks)
