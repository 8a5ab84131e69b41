"""One run and one lab over it, which the tests of the lab only read."""

from collections.abc import Iterator

import httpx
import pytest

from inference.lab.app import lab_app
from inference.lab.run_view import RunView
from tests.inference.conftest import Run
from tests.inference.lab.making import MadeRun, made_run, served


@pytest.fixture(scope="session")
def lab_run(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> MadeRun:
    """Three slides with heatmaps, `glass_01` without tissue and `bad`, which no reader opens."""
    return made_run(finished, tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def lab_url(lab_run: MadeRun) -> Iterator[str]:
    """Start of the lab's addresses, without a slash at the end."""
    with served(lab_app(RunView(str(lab_run.out)))) as url:
        yield url


@pytest.fixture(scope="session")
def lab(lab_url: str) -> Iterator[httpx.Client]:
    """Asks the lab; addresses begin with a slash."""
    with httpx.Client(base_url=lab_url) as client:
        yield client
