"""A drawn PatchCamelyon that the tests of importing share."""

from pathlib import Path

import pytest

from histospark.drawing.pcam import draw_pcam
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from tests.conftest import ROOT


@pytest.fixture(scope="session")
def pcam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slides to train, one to validate and one to test, 24 patches of each."""
    folder = tmp_path_factory.mktemp("pcam")
    draw_pcam(folder, seed=4, patches=24, slides={"train": 2, "valid": 1, "test": 1}, side=1024)
    return folder


@pytest.fixture(scope="session")
def lossless() -> Recipe:
    """The recipe of PatchCamelyon with patches stored as they are."""
    return load_recipe(str(ROOT / "conf" / "pcam.yaml"), ["tiling.image.format=png"])
