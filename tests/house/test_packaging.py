"""What is installed where: a wheel is whole, executors stay light, every version is locked."""

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = ("histospark", "preprocessing", "training", "inference", "cluster", "conf")


def needed(extra: str | None) -> set[str]:
    """Names that the core, or an extra, asks for."""
    mark = f'extra == "{extra}"'
    lines = [line for line in requires("histospark") or [] if (mark in line if extra else "extra ==" not in line)]
    return {re.split(r"[\s<>=!;\[]", line)[0].lower() for line in lines}


def test_executors_need_neither_tensorflow_nor_petastorm_nor_pyspark() -> None:
    heavy = {"tensorflow", "tensorflow-cpu", "keras", "petastorm", "pyspark", "scikit-learn", "matplotlib"}
    assert needed(None)
    assert not needed(None) & heavy


def test_a_gpu_machine_takes_another_tensorflow_than_ci() -> None:
    assert needed("cpu") == {"tensorflow-cpu"}
    assert needed("gpu") == {"tensorflow"}


@pytest.mark.parametrize(("lock", "accelerator"), [("requirements.lock", "cpu"), ("requirements-gpu.lock", "gpu")])
def test_every_requirement_is_locked_to_one_version_with_hashes(lock: str, accelerator: str) -> None:
    text = (ROOT / lock).read_text()
    locked = set(re.findall(r"^([a-z0-9._-]+)==\S+ \\\n    --hash=sha256:", text, flags=re.MULTILINE))
    for extra in (None, "spark", "train", "infer", "dev", accelerator):
        assert needed(extra) <= locked, extra
    assert len(locked) == len(re.findall(r"^[a-z0-9]\S+==", text, flags=re.MULTILINE))


def test_wheel_holds_every_module_and_recipe(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room)
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-cache-dir", "--wheel-dir", tmp_path]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, source], check=True, capture_output=True)
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    wanted = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.suffix in {".py", ".yaml", ".properties"}
    }
    assert len(wanted) > 70
    assert wanted <= names
