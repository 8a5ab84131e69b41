"""The rooms keep to the plan: imports go one way, no module hides a standard one, executors stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = {
    "cluster": set(),
    "preprocessing": {"cluster"},
    "training": {"cluster", "preprocessing"},
    "inference": {"cluster", "preprocessing", "training"},
    "histospark": {"cluster", "preprocessing", "training", "inference"},
}
MODULES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
HEAVY = ("tensorflow", "keras", "petastorm", "matplotlib", "sklearn")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    used = {name.split(".")[0] for name in imported(path)} & set(ROOMS)
    assert used <= ROOMS[room] | {room}


def test_inference_takes_only_what_judges_and_tells_from_training() -> None:
    used = {
        name for path in (ROOT / "inference").rglob("*.py") for name in imported(path) if name.startswith("training")
    }
    assert used <= {
        f"training.{name}" for name in ("card", "exported", "findings", "grades", "intervals", "metrics", "report")
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_hides_one_of_the_standard_library(path: Path) -> None:
    """spark-submit puts the folder of the job first on the module path."""
    assert path.stem not in sys.stdlib_module_names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_one_thing_each(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_executors_of_the_tiling_job_need_no_training_library() -> None:
    code = (
        "import sys, preprocessing.job, preprocessing.tile_wave\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout.strip() == "[]"
