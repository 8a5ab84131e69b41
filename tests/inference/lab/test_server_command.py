"""`histospark lab` as a person starts it."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cluster.entry import run_command
from cluster.errors import JobError, UsageError
from inference.lab.lab import is_this_machine, lab, link, listening, token_of
from preprocessing.recipe import Recipe
from tests.conftest import ROOT
from tests.inference.lab.making import bare_run


@contextmanager
def started(*arguments: object) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The command; yields the link that it prints, and ends it as Ctrl-C does."""
    command = [str(Path(sys.executable).with_name("histospark")), "lab", *map(str, arguments)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        try:
            assert process.stdout is not None
            told = next((line for line in process.stdout if "http://" in line), "")
            yield re.search(r"http://\S+", told).group(), process  # type: ignore[union-attr]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


@pytest.fixture(scope="module")
def run(sparse: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare_run(tmp_path_factory.mktemp("run") / "out", sparse, {"one": "/a/one.svs"}, {"one": 0.5})


def test_the_printed_link_opens_the_lab(run: Path) -> None:
    with started("--run", run, "--port", 0) as (url, process):
        assert url.startswith("http://127.0.0.1:")
        assert httpx.get(f"{url}api/run").json()["slides"] == 1
        assert "token" not in url
    assert process.returncode == 0


def test_beyond_this_machine_the_link_carries_a_token(run: Path) -> None:
    with started("--run", run, "--port", 0, "--host", "0.0.0.0") as (url, _):
        port = httpx.URL(url).port
        token = httpx.URL(url).params["token"]
        assert len(token) >= 32
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            assert client.get("/api/run").status_code == 401
            assert client.get("/", params={"token": token}).status_code == 200
            assert client.get("/api/run").json()["slides"] == 1


def test_wrong_use_is_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["--run", tmp_path], ["--run", run, "--token", "short"], ["--run", run, "--port", 70000]):
        assert run_command(lab, [str(part) for part in wrong]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_port_that_is_taken_and_a_host_that_is_none_are_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(JobError, match="--port"):
        listening("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(UsageError, match="no address"):
        listening("no.such.host.invalid", 0)


def test_the_socket_names_tcp_so_that_answers_are_sent_at_once() -> None:
    """Asyncio turns Nagle's algorithm off only then; a tile takes 40 ms more with it."""
    with listening("127.0.0.1", 0) as place:
        assert place.proto == socket.IPPROTO_TCP


def test_only_this_machine_goes_without_a_token() -> None:
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        assert is_this_machine(host)
    for host in ("0.0.0.0", "::", "10.0.0.7", "example.org", ""):
        assert not is_this_machine(host)
    assert token_of(None, is_local=True) is None
    assert len({token_of(None, is_local=False) for _ in range(5)}) == 5
    assert token_of("sixteen-letters-x", is_local=True) == "sixteen-letters-x"
    for wrong in ("", "short", "spaces are no signs of it", "semicolon;semicolon", "ümläut-ümläut-ümläut"):
        with pytest.raises(UsageError, match="a token has"):
            token_of(wrong, is_local=True)


def test_links_are_as_browsers_want_them() -> None:
    assert link("127.0.0.1", 8321, None) == "http://127.0.0.1:8321/"
    assert link("::1", 8321, "t") == "http://[::1]:8321/?token=t"
    assert link("0.0.0.0", 1, "t") == f"http://{socket.gethostname()}:1/?token=t"
