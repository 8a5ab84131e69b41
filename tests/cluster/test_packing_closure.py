"""What goes along is what the job's requirements come to, and no more."""

from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from cluster.closure import installed_closure
from cluster.errors import UsageError
from cluster.packing import environment_key
from histospark.submit_engines import environment_for
from inference.engines.base import EngineName


def install(site: Path, name: str, *requires: str, version: str = "1.0") -> None:
    """What pip leaves behind for a distribution of one module."""
    module = name.replace("-", "_").lower()
    facts = site / f"{module}-{version}.dist-info"
    facts.mkdir(parents=True)
    (site / f"{module}.py").write_text("")
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (facts / "METADATA").write_text("\n".join(lines) + "\n")
    (facts / "RECORD").write_text(f"{module}.py,,\n{facts.name}/METADATA,,\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def names(*roots: str, without: tuple[str, ...] = ()) -> list[str]:
    return [each.name for each in installed_closure(roots, without)]


def test_requirements_are_followed_to_their_end_and_through_circles(site: Path) -> None:
    install(site, "qq-root", "Qq_Middle>=0.5", 'qq-windows; sys_platform == "win32"')
    install(site, "qq-middle", "qq-leaf")
    install(site, "qq-leaf", "qq-root")
    assert names("qq-root") == ["qq-leaf", "qq-middle", "qq-root"]


def test_extras_go_along_where_they_are_asked_for(site: Path) -> None:
    install(site, "qq-root", "qq-tool[fast]", 'qq-plot; extra == "draw"')
    install(site, "qq-tool", 'qq-quick; extra == "fast"', 'qq-slow; extra == "slow"')
    install(site, "qq-quick")
    install(site, "qq-plot")
    assert names("qq-root") == ["qq-quick", "qq-root", "qq-tool"]
    assert names("qq-root", "qq-root[draw]") == ["qq-plot", "qq-quick", "qq-root", "qq-tool"]


def test_what_only_a_left_out_one_needs_stays_here(site: Path) -> None:
    install(site, "qq-root", "qq-heavy", "qq-shared")
    install(site, "qq-heavy", "qq-only", "qq-shared")
    install(site, "qq-only")
    install(site, "qq-shared")
    assert names("qq-root", without=("QQ.heavy",)) == ["qq-root", "qq-shared"]


def test_a_missing_one_is_named(site: Path) -> None:
    install(site, "qq-root", "qq-missing")
    with pytest.raises(UsageError, match=r"needs qq-missing on the executors, which is not installed"):
        installed_closure(["qq-root"])


def test_key_tells_versions_apart(site: Path) -> None:
    install(site / "old", "qq-root")
    install(site / "new", "qq-root", version="1.1")
    keys = []
    for folder in ("old", "new", "old"):
        with pytest.MonkeyPatch.context() as patched:
            patched.syspath_prepend(site / folder)
            keys.append(environment_key(installed_closure(["qq-root"])))
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize(
    ("engines", "present", "absent"),
    [
        ((), {"numpy", "openslide-bin"}, {"openvino", "matplotlib", "keras"}),
        (("openvino",), {"numpy", "openvino", "matplotlib"}, {"onnxruntime", "keras", "openvino-telemetry"}),
        (("onnx",), {"numpy", "onnxruntime"}, {"openvino", "keras"}),
    ],
)
def test_executors_get_the_libraries_of_their_job(
    engines: tuple[EngineName, ...], present: set[str], absent: set[str]
) -> None:
    packed = {canonicalize_name(each.name) for each in environment_for(engines)}
    assert present <= packed
    assert not packed & (absent | {"histospark", "pyspark", "petastorm", "tensorflow", "tensorflow-cpu", "pytest"})


def test_keras_brings_tensorflow() -> None:
    packed = {canonicalize_name(each.name) for each in environment_for(("keras",))}
    assert "keras" in packed
    assert packed & {"tensorflow", "tensorflow-cpu"}
    assert not packed & {"openvino", "onnxruntime", "pyspark", "petastorm"}
