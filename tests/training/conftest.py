"""Patch tables for the tests of this room."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.training.tiny_table import SLIDES, Rows, WrittenTable, tiny_recipe, write_table


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> WrittenTable:
    """The standard table; tests only read it."""
    return write_table(tmp_path_factory.mktemp("table"), tiny_recipe())


@pytest.fixture
def make_table(tmp_path: Path) -> Callable[..., WrittenTable]:
    """Write a table of one's own: `make_table(slides={…})`."""

    def make(slides: Mapping[tuple[str, str], Rows] = SLIDES, **training: object) -> WrittenTable:
        return write_table(tmp_path / "run", tiny_recipe(**training), slides)

    return make
