"""Which files of a model `histospark submit` checks and sends, and what it leaves to the driver."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster.entry import run_command
from cluster.storage import Store
from histospark.submit import submit
from preprocessing.recipe_file import load_recipe
from tests.cluster.s3_server import S3Server
from tests.cluster.stand_in import program
from tests.cluster.tables_elsewhere import stored
from tests.conftest import ROOT, Command
from training.card import DataCard, ExportCard, ModelCard, model_id
from training.exported import files_hash
from training.metrics import BinaryMetrics

STANDALONE = "spark://host:7077"


@pytest.fixture
def exported_model(tmp_path: Path) -> Path:
    """A model by its files and card; nothing computes with it."""
    model = tmp_path / "m" / "model.keras"
    model.parent.mkdir()
    for suffix in (".keras", ".xml", ".bin"):
        model.with_suffix(suffix).write_bytes(suffix.encode())
    digest = files_hash(model.with_suffix(".xml"))
    recipe = load_recipe(str(ROOT / "conf" / "demo.yaml"))
    ModelCard(
        model_id=model_id(model),
        recipe=recipe,
        data=DataCard(patches="nowhere", recipe_id=recipe.recipe_id, rows={}, slides={}),
        versions={},
        metrics={"validation": BinaryMetrics(0.9, 0.5, 0.8, 0.8, 0.8, 0.7, 100, 40)},
        exported=ExportCard(file="model.xml", sha256=digest, patches=1, largest_difference=0, tolerance=1),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    ).save(model)
    return model


def test_a_driver_on_a_node_gets_recipe_and_model_beside_it(
    exported_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """By a stand-in for spark-submit that prints what it was told."""
    home = program(tmp_path / "spark", 'for word do echo "$word"; done').parent.parent
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("histospark.submit.packed_environment", lambda _: tmp_path / "env.tar.gz")
    given = ["--master", "yarn", "--deploy-mode", "cluster", "--spark-home", str(home), "--conf", "demo.yaml"]
    assert run_command(submit, ["infer", *given, "--slides", "s", "--out", "o", "--model", str(exported_model)]) == 0
    words = capfd.readouterr().out.splitlines()
    sent = [Path(file) for file in words[words.index("--files") + 1].split(",")]
    assert all(file.is_file() for file in sent)
    assert [file.name for file in sent] == ["demo.yaml", "model.keras", "model.json", "model.xml", "model.bin"]
    job = words.index(str(ROOT / "inference" / "job.py"))
    told = dict(zip(words[job + 1 :: 2], words[job + 2 :: 2], strict=True))
    assert told["--conf"] == "demo.yaml"
    assert told["--model"] == "model.keras"
    assert told["--slides"] == str(tmp_path / "s")


def test_a_model_on_a_store_is_checked_here_and_fetched_by_the_driver(
    s3: S3Server, exported_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    home = program(tmp_path / "spark", 'for word do echo "$word"; done').parent.parent
    uri = f"{stored(exported_model.parent, Store(f'{s3.uri}/{tmp_path.name}')).uri}/model.keras"
    monkeypatch.setenv("HISTOSPARK_CACHE", str(tmp_path / "cache"))
    packed: list[str] = []
    monkeypatch.setattr("histospark.submit.environment_for", packed.extend)
    monkeypatch.setattr("histospark.submit.packed_environment", lambda _: tmp_path / "env.tar.gz")
    given = ["--master", "yarn", "--deploy-mode", "cluster", "--spark-home", str(home), "--conf", "demo.yaml"]
    given += ["--slides", "s", "--out", "o", "--model"]
    assert run_command(submit, ["refresh", *given, f"{uri}.none"]) == 2
    assert run_command(submit, ["refresh", *given, uri]) == 0
    told = capfd.readouterr()
    assert f"--model: {uri}.none does not exist" in told.err
    words = told.out.splitlines()
    assert [Path(file).name for file in words[words.index("--files") + 1].split(",")] == ["demo.yaml"]
    assert words[words.index("--model") + 1] == uri
    assert packed == ["openvino"]


def test_a_model_that_is_not_there_is_wrong_use(histospark: Command, tmp_path: Path) -> None:
    said = histospark(
        "submit", "infer", "--master", STANDALONE, "--conf", "demo.yaml", "--slides", tmp_path, "--out", tmp_path,
        "--model", tmp_path / "model.keras",
    )  # fmt: skip
    assert said.returncode == 2
    assert "there is no" in said.stderr
    assert "model.keras" in said.stderr
