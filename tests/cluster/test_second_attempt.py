"""A driver that YARN starts anew takes the output over from its own first attempt, and from nobody else."""

import json
from pathlib import Path

import pytest

from cluster.errors import UsageError
from cluster.lock import confirm_lock, output_lock, refuse_locked
from cluster.storage import Store
from cluster.yarn_attempt import yarn_attempt

SECOND = "container_e17_1795265524068_0012_02_000001"


@pytest.mark.parametrize(
    ("first", "is_taken_over"),
    [
        ("container_e17_1795265524068_0012_01_000001", True),
        ("container_1795265524068_0012_01_000007", True),
        (SECOND, False),
        ("container_e17_1795265524068_0012_03_000001", False),
        ("container_e17_1795265524068_0013_01_000001", False),
        ("container_e17_1795265524069_0012_01_000001", False),
        ("", False),
    ],
)
def test_only_the_same_applications_earlier_attempt_counts_as_dead(
    first: str, is_taken_over: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path))
    monkeypatch.setenv("CONTAINER_ID", first)
    with output_lock(store, "first", "mine"):
        file = tmp_path / "_lock-00000001.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"machine": "elsewhere 1"}))
        monkeypatch.setenv("CONTAINER_ID", SECOND)
        if not is_taken_over:
            with pytest.raises(UsageError, match="is being written by mine"):
                refuse_locked(store)
            return
        refuse_locked(store)
        with output_lock(store, "second", "its second attempt"):
            confirm_lock(store, "second")


def test_process_outside_yarn_is_no_attempt() -> None:
    assert yarn_attempt({"PATH": "/bin"}) == ""
    assert yarn_attempt({"CONTAINER_ID": "f3c6a1"}) == ""  # other systems use the name, too
