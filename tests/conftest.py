"""What all rooms' tests share: one Spark session, drawn slides, the real ones where they are, the command line."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cluster.session import spark_session
from histospark.drawing import draw_slide
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from tests.cluster.stores import elsewhere, hadoop, hdfs, s3, s3_server
from tests.scheduling import FilesTogether, dearest_first

__all__ = ["elsewhere", "hadoop", "hdfs", "s3", "s3_server"]  # one of each for all rooms

ROOT = Path(__file__).resolve().parent.parent
REAL = ROOT.parent / "shared" / "data"

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesTogether | None:
    return FilesTogether(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    dearest_first(items)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    with spark_session("tests", "local[2]") as session:
        yield session


@pytest.fixture(scope="session")
def real() -> Path:
    if not REAL.is_dir():
        pytest.skip(f"the real slides are not at {REAL}")
    return REAL


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small slides: two with lesions (one with a hole), one without."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_slide(folder, "tumor_01", seed=3, side=1024, lesions=2)
    draw_slide(folder, "tumor_02", seed=1, side=1536, lesions=2, exclusions=1)
    draw_slide(folder, "normal_01", seed=2, side=1024, lesions=0)
    return folder


@pytest.fixture(scope="session")
def small() -> Recipe:
    """Two scales of the drawn slides, blocks so small that each slide has many."""
    overrides = ["tiling.block=128", "tiling.blocks_per_shard=3", "tiling.stride=32"]
    return load_recipe(str(ROOT / "conf" / "demo.yaml"), overrides)


@pytest.fixture(scope="session")
def histospark() -> Command:
    """Runs the command line as a user does."""

    def run(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
        command = [str(Path(sys.executable).with_name("histospark")), *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=ROOT, env=os.environ | environment
        )

    return run
