"""No tile of a slide is decoded twice, and no batch of a unit of work but the last one is partial."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from histospark.drawing.files import write_slide
from inference.engines.base import Images
from inference.predict import Judged, judge_run, judge_unit, prediction_recipe
from preprocessing.grid import Grid, count_shards
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.readers import direct_reader
from preprocessing.readers.direct_reader import CACHE_BYTES, DirectReader
from preprocessing.readers.opening import choose_reader, read_info
from preprocessing.readers.tiff_directory import TiffFile
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.scales import resolve_scales
from preprocessing.slide_facts import SlideFacts
from preprocessing.slide_plan import SlidePlan
from tests.conftest import ROOT

WIDTH, HEIGHT, WINDOW = 4 * 2048 + 256, 2 * 2048 + 256, 80
TILE_BYTES = 3 * 256 * 256
SMALL_UNITS = ("tiling.block=512", "tiling.blocks_per_shard=4")


class Counting:
    """An engine that answers the mean red of scale 0, and remembers the size of each batch."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def predict(self, batches: Iterable[Images]) -> NDArray[np.float32]:
        return np.concatenate([self.judge(images) for images in batches])

    def judge(self, images: Images) -> NDArray[np.float32]:
        self.sizes.append(len(images[0]))
        assert [scale.shape for scale in images] == [(len(images[0]), WINDOW, WINDOW, 3)] * 2
        return images[0][:, 0, 0, 0].astype(np.float32) / 255


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A unit of work of full size, all tissue, of more tiles than a reader keeps."""
    path = tmp_path_factory.mktemp("large") / "large.tif"
    pixels = np.full((HEIGHT, WIDTH, 3), (180, 120, 170), np.uint8)
    write_slide(path, pixels)
    return path


@pytest.fixture(scope="module")
def many_units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 4 x 4 units of work by `SMALL_UNITS`, each pixel another; the last units of rows and columns are cut off."""
    path = tmp_path_factory.mktemp("many") / "many.tif"
    write_slide(path, np.random.default_rng(3).integers(60, 190, (3072 + 640, 3072 + 512, 3), np.uint8))
    return path


def planned(path: Path, stride: int, *more: str) -> tuple[SlidePlan, Recipe]:
    overrides = ["tiling.scales=[{level: 0}, {level: 1}]", f"inference.stride={stride}", "inference.batch_size=100"]
    overrides += more
    recipe = prediction_recipe(load_recipe(str(ROOT / "conf" / "camelyon16.yaml"), overrides))
    (entry,) = inventory(str(path), recipe.tiling, recipe.seed)
    info, choice = read_info(str(path)), choose_reader(str(path))
    scales = tuple(resolve_scales(info, 0.25, recipe.tiling))
    width, height = info.level_sizes[0]
    shards = count_shards(Grid(WINDOW, stride), width, height, recipe.tiling.block, recipe.tiling.blocks_per_shard)
    entry, facts = SlideEntry(entry.slide_id, str(path)), SlideFacts(info, choice.name, "", 0.25, "file")
    return SlidePlan(entry, facts, choice, scales, shards), recipe


def judged(plan: SlidePlan, recipe: Recipe, engine: Counting) -> tuple[Judged, int]:
    """What the first unit gives, and the number of tiles decoded for it."""
    with plan.opened() as slide:
        found = judge_unit(plan, 0, slide, recipe, lambda: engine, plan.judge(recipe, ""), lambda: None)
        assert found is not None
        assert isinstance(slide.slide, DirectReader)
        return found, slide.slide.decoded


def judged_in(plan: SlidePlan, recipe: Recipe, longest: int) -> tuple[list[Judged], int]:
    """All units in runs, each of which opens the slide anew; and the number of tiles decoded in all."""
    units: list[Judged] = []
    decoded = 0
    for start in range(0, plan.shards, longest):
        shards = range(start, min(start + longest, plan.shards))
        with plan.opened() as slide:
            assert isinstance(slide.slide, DirectReader)
            run = judge_run(plan, shards, slide, recipe, Counting, plan.judge(recipe, ""), lambda: None)
            for shard, (number, found) in zip(shards, run, strict=True):
                assert number == shard
                assert found is not None
                assert slide.slide.cached_bytes <= direct_reader.CACHE_BYTES + direct_reader.KEPT_BYTES
                units.append(found)
            decoded += slide.slide.decoded
    return units, decoded


def assert_same(some: Sequence[Judged], others: Sequence[Judged]) -> None:
    """Unit by unit, bit by bit."""
    for one, other in zip(some, others, strict=True):
        assert np.array_equal(one.origins, other.origins)
        assert np.array_equal(one.probability, other.probability)
        assert np.array_equal(one.tissue_fraction, other.tissue_fraction)


def tiles_under(corners: NDArray[np.int32], plan: SlidePlan) -> set[tuple[int, int, int]]:
    """Level, column and row of every tile of 256 px under some windows at levels 0 and 1, found from their corners."""
    under: set[tuple[int, int, int]] = set()
    for level, (width, height) in enumerate(plan.facts.info.level_sizes[:2]):
        starts = np.floor((corners + WINDOW / 2) / 2**level).astype(int) - WINDOW // 2
        for shift in ((0, 0), (WINDOW - 1, 0), (0, WINDOW - 1), (WINDOW - 1, WINDOW - 1)):
            pixels = starts + shift
            on_slide = (pixels >= 0).all(axis=1) & (pixels < (width, height)).all(axis=1)
            under |= {(level, int(x), int(y)) for x, y in np.unique(pixels[on_slide] // 256, axis=0)}
    return under


@pytest.mark.parametrize("stride", [WINDOW, WINDOW // 2])
def test_no_tile_is_decoded_twice_within_a_unit(large: Path, stride: int) -> None:
    plan, recipe = planned(large, stride)
    found, decoded = judged(plan, recipe, Counting())
    under = tiles_under(found.origins, plan)
    assert decoded == len(under)
    assert decoded * 3 * 256**2 > 1.5 * CACHE_BYTES  # so it is the order of reading that does it


@pytest.mark.parametrize("stride", [WINDOW, WINDOW // 2])
def test_no_tile_is_decoded_twice_on_a_whole_slide(
    many_units: Path, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, recipe = planned(many_units, stride, *SMALL_UNITS)
    monkeypatch.setattr(direct_reader, "CACHE_BYTES", 40 * TILE_BYTES)
    apart, twice = judged_in(plan, recipe, 1)
    together, once = judged_in(plan, recipe, plan.shards)
    assert plan.shards == 16
    assert once == len(tiles_under(np.concatenate([found.origins for found in together]), plan))
    assert twice > 1.15 * once
    assert_same(apart, together)


class Scattered:
    """Calls one window in 50 tissue, without looking at a pixel, so that single windows are read far apart."""

    def fractions(self, slide: ScaledSlide, origins: NDArray[np.int32], window: int) -> NDArray[np.float32]:
        del slide, window
        return (origins @ np.array([7919, 104729]) // 40 % 50 == 0).astype(np.float32)


def test_no_tile_is_fetched_twice_where_tissue_is_scattered(many_units: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, recipe = planned(many_units, WINDOW // 2, *SMALL_UNITS)
    monkeypatch.setattr(direct_reader, "CACHE_BYTES", 40 * TILE_BYTES)
    with plan.opened() as slide:
        fetched: list[int] = []
        assert isinstance(slide.slide, DirectReader)
        fetch = TiffFile.read
        monkeypatch.setattr(TiffFile, "read", lambda file, at, size: (fetched.append(at), fetch(file, at, size))[1])
        run = judge_run(plan, range(plan.shards), slide, recipe, Counting, Scattered(), lambda: None)
        windows = sum(len(found.origins) for _, found in run if found)
        assert len(fetched) == len(set(fetched)) >= slide.slide.decoded > 100
    assert 20 < windows < 500


def test_in_pieces_or_without_room_predictions_are_the_same(many_units: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, recipe = planned(many_units, WINDOW // 2, *SMALL_UNITS)
    monkeypatch.setattr(direct_reader, "CACHE_BYTES", 40 * TILE_BYTES)
    together, once = judged_in(plan, recipe, plan.shards)
    pieces, more = judged_in(plan, recipe, 5)
    monkeypatch.setattr(direct_reader, "KEPT_BYTES", 4 * TILE_BYTES)
    cramped, still_more = judged_in(plan, recipe, plan.shards)
    assert once < more
    assert once < still_more
    assert_same(pieces, together)
    assert_same(cramped, together)


def test_only_the_last_batch_is_partial(large: Path) -> None:
    plan, recipe = planned(large, WINDOW)
    engine = Counting()
    found, _ = judged(plan, recipe, engine)
    count = len(found.origins)
    assert count == len(np.unique(found.origins, axis=0)) > 5000
    assert engine.sizes == [100] * (count // 100) + [count % 100] * (count % 100 > 0)
    assert len(found.probability) == len(found.tissue_fraction) == count
