"""Within a unit of work no tile is decoded twice, and no batch but the last one is partial."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from histospark.drawing.files import write_slide
from inference.engines.base import Images
from inference.predict import Judged, judge_unit, prediction_recipe
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.readers.direct_reader import CACHE_BYTES, DirectReader
from preprocessing.readers.opening import choose_reader, read_info
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from preprocessing.scales import resolve_scales
from preprocessing.slide_facts import SlideFacts
from preprocessing.slide_plan import SlidePlan
from tests.conftest import ROOT

WIDTH, HEIGHT, WINDOW = 4 * 2048 + 256, 2 * 2048 + 256, 80


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


def planned(path: Path, stride: int) -> tuple[SlidePlan, Recipe]:
    overrides = ["tiling.scales=[{level: 0}, {level: 1}]", f"inference.stride={stride}", "inference.batch_size=100"]
    recipe = prediction_recipe(load_recipe(str(ROOT / "conf" / "camelyon16.yaml"), overrides))
    (entry,) = inventory(str(path), recipe.tiling, recipe.seed)
    info, choice = read_info(str(path)), choose_reader(str(path))
    scales = tuple(resolve_scales(info, 0.25, recipe.tiling))
    return SlidePlan(
        SlideEntry(entry.slide_id, str(path)), SlideFacts(info, choice.name, "", 0.25, "file"), choice, scales, 1
    ), recipe


def judged(plan: SlidePlan, recipe: Recipe, engine: Counting) -> tuple[Judged, int]:
    """What the first unit gives, and the number of tiles decoded for it."""
    with plan.opened() as slide:
        found = judge_unit(plan, 0, slide, recipe, lambda: engine, plan.judge(recipe, ""), lambda: None)
        assert found is not None
        assert isinstance(slide.slide, DirectReader)
        return found, slide.slide.decoded


@pytest.mark.parametrize("stride", [WINDOW, WINDOW // 2])
def test_no_tile_is_decoded_twice_within_a_unit(large: Path, stride: int) -> None:
    plan, recipe = planned(large, stride)
    found, decoded = judged(plan, recipe, Counting())
    corners = found.origins
    under: set[tuple[int, int, int]] = set()
    for level, side in ((0, WINDOW), (1, WINDOW)):
        middles = (corners + WINDOW / 2) / 2**level
        starts = np.floor(middles).astype(int) - side // 2 if level else corners
        for shift in ((0, 0), (side - 1, 0), (0, side - 1), (side - 1, side - 1)):
            tiles = (starts + shift) // 256
            under |= {(level, int(x), int(y)) for x, y in np.unique(tiles, axis=0)}
    under = {(level, x, y) for level, x, y in under if min(x, y) >= 0}
    assert decoded == len(under)
    assert decoded * 3 * 256**2 > 1.5 * CACHE_BYTES  # so it is the order of reading that does it


def test_only_the_last_batch_is_partial(large: Path) -> None:
    plan, recipe = planned(large, WINDOW)
    engine = Counting()
    found, _ = judged(plan, recipe, engine)
    count = len(found.origins)
    assert count == len(np.unique(found.origins, axis=0)) > 5000
    assert engine.sizes == [100] * (count // 100) + [count % 100] * (count % 100 > 0)
    assert len(found.probability) == len(found.tissue_fraction) == count
