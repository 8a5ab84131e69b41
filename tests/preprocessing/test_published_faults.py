"""Faults that published programs have, and this one has not; docs/published.md lists them all with their tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from preprocessing import one_pass, prepare, slide_plan
from preprocessing.hashing import patch_ids
from preprocessing.inventory import inventory
from preprocessing.readers.base import Reader
from preprocessing.readers.opening import ReaderChoice, open_slide
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from preprocessing.schema import patch_schema
from preprocessing.shard_file import WRITING
from preprocessing.slide_entry import SlideEntry
from preprocessing.slide_plan import SlidePlan
from preprocessing.splits import assign_splits
from tests.conftest import ROOT

DEMO = str(ROOT / "conf" / "demo.yaml")


def test_a_row_holds_encoded_images_and_its_place_and_no_double() -> None:
    """deep-histopath keeps pixels as vectors of doubles, 8 bytes a value, and forgets where they were cut."""
    schema = patch_schema(load_recipe(DEMO))
    types = {field.name: field.type for field in schema}
    assert {types["image_0"], types["image_1"]} == {pa.binary()}
    assert pa.float64() not in types.values()
    assert not any(pa.types.is_list(kind) for kind in types.values())
    assert {(schema.field(axis).type, schema.field(axis).nullable) for axis in ("x", "y")} == {(pa.int32(), False)}


def test_another_seed_draws_other_patches_and_other_patients() -> None:
    """deep-histopath gives the seed of its sample to the argument before, so that every run draws another one."""
    places = np.stack(np.meshgrid(np.arange(40, dtype=np.int32), np.arange(40, dtype=np.int32)), -1).reshape(-1, 2)
    entries = [SlideEntry(f"slide_{number}", "none", patient_id=f"patient_{number}") for number in range(200)]

    def drawn(seed: int) -> tuple[set[int], list[str]]:
        recipe = load_recipe(DEMO, [f"seed={seed}", "tiling.splits={validation_fraction: 0.3, test_fraction: 0.3}"])
        lowest = np.argsort(patch_ids("slide", recipe.recipe_id, places))[:160]
        splits = [entry.split for entry in assign_splits(entries, recipe.tiling.splits, recipe.seed)]
        return set(lowest.tolist()), splits

    (patches, splits), again, (others, other_splits) = drawn(1), drawn(1), drawn(2)
    assert again == (patches, splits)
    assert len(patches & others) < 40  # a tenth of them by chance
    assert np.mean(np.array(splits) == other_splits) < 0.6


class _Counter:
    """Stands in for Spark's accumulator, outside of Spark."""

    def add(self, rows: int) -> None:
        """Nobody looks."""


def test_a_slide_is_opened_once_for_all_windows_of_a_unit(
    drawn: Path, small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """deep-histopath opens the slide anew for every tile."""
    entry = next(it for it in inventory(str(drawn), small.tiling, small.seed) if it.slide_id == "tumor_01")
    plan = prepare._look(entry, small, str(tmp_path))
    assert isinstance(plan, SlidePlan)
    opened: list[str] = []

    @contextmanager
    def counted(path: str, choice: ReaderChoice | None = None) -> Iterator[Reader]:
        opened.append(path)
        with open_slide(path, choice) as slide:
            yield slide

    monkeypatch.setattr(slide_plan, "open_slide", counted)
    (tmp_path / WRITING).mkdir()
    units = range(plan.shards // 2, plan.shards // 2 + 4)
    rows = [one_pass._tile_unit(plan, unit, small, str(tmp_path), _Counter()).rows for unit in units]  # type: ignore[arg-type]
    assert sum(rows) > 50
    assert opened == [entry.path] * len(units)
