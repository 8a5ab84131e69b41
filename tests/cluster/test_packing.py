"""The archive is Python itself: it runs from wherever it is unpacked, and nothing in it leads back here."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pyspark
import pytest

from cluster.closure import installed_closure
from cluster.code_archive import code_archive
from cluster.errors import UsageError
from cluster.interpreter import base_program
from cluster.packing import packed_environment
from histospark.submit_engines import environment_for
from inference.engines.base import EngineName
from tests.cluster.test_packing_closure import install

# The node's own, by the names that manylinux promises: the C library's, and those of the compiler.
OF_THE_NODE = ("ld-linux", "libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "libutil.so", "libgcc_s.so",
               "libstdc++.so", "libresolv.so")  # fmt: skip
ASK = """
import json, sys
{statements}
with open("/proc/self/maps") as maps:
    mapped = sorted({{line.split(maxsplit=5)[5].strip() for line in maps if "/" in line}})
places = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
print(json.dumps([sys.path, [each for each in places if each], mapped, sys.prefix]))
"""


def asked(home: Path, statements: str) -> tuple[list[str], list[str], list[str], str]:
    """Run a moved Python with nothing in its environment: path, modules, mapped files, prefix."""
    command = [home / "bin" / "python", "-c", ASK.format(statements=statements)]
    said = subprocess.run(command, env={}, cwd="/", capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    found: tuple[list[str], list[str], list[str], str] = tuple(json.loads(said.stdout))
    return found


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python with one small library, packed into a fresh cache."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return packed_environment(installed_closure(["click"]))


@pytest.fixture(scope="module")
def moved(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("node") / "some where"
    folder.mkdir()
    subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)
    return folder


def test_moved_python_uses_nothing_of_the_place_it_was_packed_at(moved: Path) -> None:
    used = "import bz2, click, ctypes, hashlib, lzma, sqlite3, ssl, uuid, venv, zlib; ssl.create_default_context()"
    path, modules, mapped, prefix = asked(moved, used)
    assert prefix == str(moved)
    assert all(place.startswith(str(moved)) for place in [*path[1:], *modules]), (path, modules)
    foreign = [file for file in mapped if ".so" in file and not file.startswith(str(moved))]
    assert all(Path(file).name.startswith(OF_THE_NODE) for file in foreign), foreign


def test_moved_python_compiles_nothing_anew(moved: Path) -> None:
    before = sorted(moved.rglob("*.pyc"))
    asked(moved, "import json, decimal, click")
    assert sorted(moved.rglob("*.pyc")) == before


def test_moved_python_does_without_what_only_developers_need(moved: Path) -> None:
    library = moved / "lib" / f"python3.{sys.version_info.minor}"
    assert not any((library / name).exists() for name in ("test", "tkinter", "idlelib", "ensurepip"))
    assert not list(moved.rglob("libtk*"))


@pytest.mark.parametrize(
    ("engines", "used"),
    [
        ((), "preprocessing.job, preprocessing.tile_wave"),
        (("openvino",), "openvino, inference.job, inference.infer_wave, inference.heatmaps.overlay"),
        (("onnx",), "onnxruntime, inference.refreshing.refresh, inference.infer_wave, inference.heatmaps.overlay"),
    ],
)
def test_libraries_that_go_along_are_enough_for_the_job(
    tmp_path: Path, engines: tuple[EngineName, ...], used: str
) -> None:
    """A Python that sees these libraries, our code as it is sent, and Spark as it lies on a node; nothing else."""
    for each in environment_for(engines):
        for name in {file.parts[0] for file in each.files or ()} - {"..", "__pycache__"}:
            if not (tmp_path / name).exists():
                (tmp_path / name).symlink_to(Path(str(each.locate_file(name))))
    spark = sorted((Path(pyspark.__file__).parent / "python" / "lib").glob("*.zip"))
    path = [str(place) for place in (code_archive(), *spark, tmp_path)]
    ask = f"import sys; sys.path += {path!r}; import {used}, imagecodecs, openslide, rasterio, skimage.filters"
    said = subprocess.run([base_program(), "-I", "-S", "-c", ask], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr


def test_a_damaged_installation_is_not_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    install(tmp_path, "qq-root")
    (tmp_path / "qq_root.py").unlink()
    with pytest.raises(UsageError, match=r"qq-root 1\.0 lacks its file qq_root\.py"):
        packed_environment(installed_closure(["qq-root"]))
    (tmp_path / "qq_root-1.0.dist-info" / "RECORD").unlink()
    with pytest.raises(UsageError, match=r"qq-root was installed without a list of its files"):
        packed_environment(installed_closure(["qq-root"]))
    assert not list((tmp_path / "cache").rglob("*.gz*.gz"))
    assert not list((tmp_path / "cache").rglob("_tmp-*"))


def test_archive_names_neither_users_nor_folders_of_this_machine(archive: Path) -> None:
    with tarfile.open(archive) as opened:
        entries = opened.getmembers()
    assert all(entry.isfile() and not entry.name.startswith(("/", "..")) for entry in entries)
    assert {(entry.uid, entry.gid, entry.uname) for entry in entries} == {(0, 0, "")}
    assert len({entry.name for entry in entries}) == len(entries)
