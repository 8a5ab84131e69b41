"""Slides, model and output on S3 or HDFS: the results of a local run, also where it was killed, and on YARN."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

import pytest
from pyspark.sql import SparkSession

from cluster.entry import run_command
from cluster.errors import UsageError
from cluster.lock import output_lock
from cluster.storage import Store
from inference.job import infer, run_inference
from inference.model_source import local_model
from inference.refreshing.one_refresh import TILES, Order, SteppedAsideError, refresh_once
from inference.refreshing.run_summary import RunSummary
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.published_files import MANIFESTS
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe, save_recipe
from tests.cluster.hadoop.servers import Hadoop
from tests.cluster.hadoop.submitting import SMALL, ended, spark_submit
from tests.cluster.s3_server import S3Server
from tests.cluster.tables_elsewhere import fetched, stored
from tests.conftest import ROOT, Command
from tests.inference.killing import killed_once_a_slide_is_done
from tests.inference.tables import contents
from tests.tables import digests, ledger_of

OF_A_RUN: Final = ("report.", "refresh/", f"predictions/{MANIFESTS}/", f"{TILES}/")
SAME_IN_LEDGER: Final = ["slide_id", "recipe_id", "status", "candidates", "patches", "positives", "attempt"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTOSPARK_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def some(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slides."""
    folder = tmp_path_factory.mktemp("some") / "slides"
    return Path(shutil.copytree(drawn, folder, ignore=shutil.ignore_patterns("tumor_02*")))


@pytest.fixture(scope="module")
def local(
    spark: SparkSession, sparse: Recipe, exported: Path, some: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Results of a run on this machine's disks."""
    out = tmp_path_factory.mktemp("local")
    run_inference(spark, sparse, inventory(str(some), sparse.tiling, sparse.seed), exported, str(out), wave=1)
    return out


@pytest.fixture
def told(some: Path, exported: Path, sparse: Recipe, tmp_path: Path) -> Callable[[str], list[object]]:
    """Puts slides and model below a URI; the command line that names them, and an output there."""

    def tell(place: str) -> list[object]:
        slides, model = stored(some, Store(f"{place}/slides")), stored(exported.parent, Store(f"{place}/model"))
        save_recipe(sparse, str(tmp_path))
        given = ["--conf", tmp_path / "recipe.yaml", "--slides", slides.uri, "--model", f"{model.uri}/{exported.name}"]
        return [*given, "--out", f"{place}/out", "--wave", 1]

    return tell


def test_killed_and_gone_on_with_on_s3_gives_the_results_of_a_local_run(
    s3: S3Server, told: Callable[[str], list[object]], histospark: Command, sparse: Recipe, local: Path, tmp_path: Path
) -> None:
    place = f"{s3.uri}/{tmp_path.name}"
    command, out = told(place), Store(f"{place}/out")
    killed_once_a_slide_is_done(["infer", *command], out, tmp_path / "log")
    assert list(ledger_of(fetched(out, tmp_path / "killed"))["slide_id"]) == ["normal_01"]

    ended = histospark("refresh", *command, "--settle", "0")
    assert ended.returncode == 0, ended.stderr[-3000:]
    summary = RunSummary.model_validate_json(out.read_bytes("report.json"))
    assert (summary.kind, summary.skipped, summary.done) == ("refresh", 1, ("tumor_01",))
    assert summary.slides == f"{place}/slides"
    assert_same_results(fetched(out, tmp_path / "there"), local)
    with local_model(f"{place}/model/model.keras") as file:
        assert_nothing_is_left_to_do(Order(sparse, f"{place}/slides", file, out.uri))


def test_refresh_on_yarn_with_all_on_hdfs_cuts_and_judges_as_local_runs_do(
    hdfs: Hadoop,
    told: Callable[[str], list[object]],
    histospark: Command,
    spark: SparkSession,
    sparse: Recipe,
    some: Path,
    local: Path,
    tmp_path: Path,
) -> None:
    place = f"{hdfs.uri}/{tmp_path.name}"
    command, out = [*told(place), "--settle", "0", "--set", "refresh.tile=true"], Store(f"{place}/out")
    Store(f"{place}/slides").write_bytes(b"no slide", "broken.svs")
    once = {"spark.yarn.maxAppAttempts": "1"}  # else a driver that ends with 3 is started again
    settings = [word for key, value in (SMALL | once).items() for word in ("--spark-conf", f"{key}={value}")]
    yarn = ("--master", "yarn", "--deploy-mode", "cluster")
    first = histospark("submit", "refresh", *yarn, *settings, *command)
    assert first.returncode == 3, (first.stdout + first.stderr)[-6000:]
    for said in ("3 new and 0 changed slides; 2 done, 0 empty, 1 failing", "failed  broken: SlideOpenError"):
        assert said in first.stdout  # of the driver, which ran on a node
    there = fetched(out, tmp_path / "there")
    cutting = load_recipe(str(there / "recipe.yaml"))
    save_recipe(sparse, str(there))  # that of the local run, which cut nothing
    assert_same_results(there, local, failed=("broken",))
    run_tiling(spark, cutting, inventory(str(some), sparse.tiling, sparse.seed), str(tmp_path / "tiles"))
    assert digests(there / TILES) == digests(tmp_path / "tiles")
    assert len(digests(there / TILES)) >= 3

    # Plainly, as the nodes are this machine: quicker. A driver that opens no session has failed, thinks YARN.
    Store(f"{place}/slides").remove("broken.svs")
    plain = spark_submit(hdfs, *yarn[2:], ROOT / "inference" / "refreshing" / "refresh.py", *command)
    code, said = ended(plain)
    assert code == 0, said[-6000:]
    again = RunSummary.model_validate_json(out.read_bytes("report.json"))
    assert (again.new, again.skipped, again.done, again.exit_code) == ((), 2, (), 0)


def assert_same_results(there: Path, local: Path, failed: tuple[str, ...] = ()) -> None:
    """All that inference writes, byte by byte, but for what tells of a run or a place, and slides that failed there."""
    found = {name: digest for name, digest in contents(there).items() if not name.startswith(OF_A_RUN)}
    assert found == contents(local)
    assert {"lesions.csv", "engine.json", "model.json", "heatmaps/tumor_01.tif"} <= found.keys()
    assert not [path for path in there.rglob("_*") if path.name != MANIFESTS], "something is left"
    ledgers = [ledger_of(each).sort_values("slide_id")[SAME_IN_LEDGER] for each in (there, local)]
    is_failed = ledgers[0]["slide_id"].isin(failed)
    assert ledgers[0][~is_failed].to_dict("records") == ledgers[1].to_dict("records")
    assert list(ledgers[0][is_failed]["status"]) == ["failed"] * len(failed)


def assert_nothing_is_left_to_do(order: Order) -> None:
    """A refresh from here knows what another machine has done, steps aside for it, and else starts no Spark."""

    def no_session() -> NoReturn:
        pytest.fail("Spark was started")

    with (
        output_lock(Store(f"{order.out}/refresh"), "first", "histospark refresh"),
        pytest.raises(SteppedAsideError, match="histospark refresh"),
    ):
        refresh_once(order, no_session)
    summary = refresh_once(order, no_session)
    assert (summary.new, summary.skipped, summary.exit_code) == ((), 2, 0)
    out = Store(order.out)
    newest = max(name for name in out.names("refresh") if name.endswith(".json"))
    for written in ("report.json", f"refresh/{newest}"):
        assert RunSummary.model_validate_json(out.read_bytes(written)) == summary


def test_model_comes_with_its_card_and_forms_and_nothing_else(elsewhere: str, exported: Path) -> None:
    model = stored(exported.parent, Store(f"{elsewhere}/model"))
    model.write_bytes(b"a weight file beside it", "other.keras")
    with local_model(f"{model.uri}/{exported.name}") as file:
        copied = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    assert copied == {path.name: path.read_bytes() for path in exported.parent.iterdir()}
    assert len(copied) == 5
    for name in ("model.bin", "model.onnx"):
        model.remove(name)
    with local_model(f"{model.uri}/{exported.name}") as file:
        assert {path.name for path in file.parent.iterdir()} == {"model.keras", "model.json", "model.xml"}


def test_wrong_model_elsewhere_is_told_in_one_line_by_its_uri(
    elsewhere: str, sparse: Recipe, exported: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_recipe(sparse, str(tmp_path))
    folder, uri = Store(f"{elsewhere}/model"), f"{elsewhere}/model/model.keras"
    rest = ["--conf", str(tmp_path / "recipe.yaml"), "--slides", str(drawn), "--out", str(tmp_path / "out")]

    def said(*more: str) -> str:
        assert run_command(infer, [*rest, "--model", uri, *more]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert str(tmp_path / "cache") not in line
        return line.removeprefix("histospark: ")

    assert said() == f"--model: {uri} does not exist"
    folder.write_bytes(exported.read_bytes(), "model.keras")
    assert said().startswith(f"--model: {uri} has no model.json beside it: a model and its card stand side by side")
    folder.write_bytes(b"{}", "model.json")
    assert f"{folder.uri}/model.json is no model card of this HistoSpark" in said()
    folder.write_bytes(exported.with_suffix(".json").read_bytes(), "model.json")
    assert said("--set", "inference.engine=onnx").startswith(
        f"the engine onnx reads model.onnx, which {uri} does not have beside it"
    )
    folder.write_bytes(b"another model", "model.keras")
    assert said().startswith(f"{folder.uri}/model.json describes the model ")
    assert not (tmp_path / "out").exists()


def test_file_uri_of_a_model_is_its_path(exported: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(exported.parent, tmp_path / "a model")) / exported.name
    with local_model(f"file://{place}".replace(" ", "%20")) as file:
        assert file == place
    with (
        pytest.raises(UsageError, match=r"^--model: nowhere://x/model\.keras cannot be"),
        local_model("nowhere://x/model.keras"),
    ):
        pytest.fail("there is no such store")
