"""Where a model's results go: the first has the folder, the others lie beside it, and nobody reads a mixture."""

import json
from pathlib import Path

import pytest

from cluster.errors import UsageError
from inference.run_folder import find_run, run_folder, runs_in


def begun(folder: str, model_id: str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, "model.json").write_text(json.dumps({"model_id": model_id}))


def test_the_first_model_has_the_output_folder_and_keeps_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run_folder(str(out), "aaa") == str(out)
    begun(str(out), "aaa")
    assert run_folder(f"{out}/", "aaa") == str(out)


def test_another_model_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    begun(str(tmp_path), "aaa")
    assert run_folder(str(tmp_path), "bbb") == f"{tmp_path}/models/bbb"
    begun(run_folder(str(tmp_path), "bbb"), "bbb")
    assert run_folder(str(tmp_path), "bbb") == f"{tmp_path}/models/bbb"
    assert runs_in(str(tmp_path)) == {"aaa": str(tmp_path), "bbb": f"{tmp_path}/models/bbb"}


def test_a_reader_of_several_models_has_to_say_which(tmp_path: Path) -> None:
    begun(str(tmp_path), "aaa")
    assert find_run(str(tmp_path)) == str(tmp_path)
    begun(f"{tmp_path}/models/bbb", "bbb")
    with pytest.raises(UsageError, match=r"results of 2 models; choose one by --model-id: aaa, bbb"):
        find_run(str(tmp_path))
    assert find_run(str(tmp_path), "bbb") == find_run(f"{tmp_path}/models/bbb") == f"{tmp_path}/models/bbb"
    with pytest.raises(UsageError, match=r"no results of the model ccc; there are aaa, bbb"):
        find_run(str(tmp_path), "ccc")


def test_a_folder_without_results_or_with_a_broken_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no predictions"):
        find_run(str(tmp_path / "nothing"))
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(UsageError, match=r"model\.json is no model card"):
        run_folder(str(tmp_path), "aaa")
