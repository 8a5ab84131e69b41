"""Runs the demos of the published systems for their tests, which lie in files of their own: pytest deals out files."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command

_EPOCH = re.compile(r"^epoch (\d+)/\d+: \d+ steps, loss ([\d.]+)", re.MULTILINE)


@pytest.fixture(scope="session")
def ran(histospark: Command, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs a demo, which ends with 1 where its model is not as good as it was elsewhere.

    Gives its folder, and the losses of the epochs of each of its trainings.
    """

    def run(recipe: str, *settings: str) -> tuple[Path, list[list[float]]]:
        out = tmp_path_factory.mktemp(recipe)
        ended = histospark("demo", "--recipe", recipe, "--out", out, *(f"--set={it}" for it in settings))
        assert ended.returncode == 0, (ended.stdout + ended.stderr)[-3000:]
        losses: list[list[float]] = []
        for epoch, loss in _EPOCH.findall(ended.stdout):
            losses += [[]] if epoch == "1" else []
            losses[-1].append(float(loss))
        return out, losses

    return run


def metrics(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "metrics.json").read_text()))
