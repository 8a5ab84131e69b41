"""A real S3 server for tests: versitygw, on a folder of this machine, with credentials drawn anew.

It is built once by Go from Go's module proxy, and kept under the user's cache folder.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.daemon import Daemon

VERSION = "v1.8.0"
BUCKET = "slides"
OFFLINE = re.compile(
    r"dial tcp|no such host|timed? ?out|unreachable|connection refused|TLS handshake|proxyconnect", re.I
)


@dataclass(frozen=True)
class S3Server:
    """A running server with one bucket.

    Attributes:
        uri: of the bucket.
        folder: where its objects lie as files.
        environment: what a client needs to know, the secret included.
    """

    uri: str
    folder: Path
    environment: dict[str, str]

    @property
    def secret(self) -> str:
        """What nothing but the environment may hold."""
        return self.environment["AWS_SECRET_ACCESS_KEY"]


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    program, folder = _program(), tmp_path_factory.mktemp("s3")
    (folder / "data" / BUCKET).mkdir(parents=True)
    (folder / "about").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key, secret = f"K{secrets.token_hex(9).upper()}", secrets.token_urlsafe(30)
    about = ["--sidecar", str(folder / "about")]  # not every disk of a test machine keeps extended attributes
    command = [str(program), "--port", f"127.0.0.1:{port}", "posix", *about, str(folder / "data")]
    account = {"ROOT_ACCESS_KEY": key, "ROOT_SECRET_KEY": secret}
    server = Daemon("s3-server", command, folder / "server.log", os.environ | account)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, server)
        environment = {
            "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_ENDPOINT_URL": url,
            "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip
        yield S3Server(f"s3://{BUCKET}", folder / "data" / BUCKET, environment)
    finally:
        server.power_off()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, known to this process by its environment."""
    s3fs = pytest.importorskip("s3fs")
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # they remember the credentials that they found first
    return s3_server


def _program() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "histospark-tests"
    program = cache / f"versitygw-{VERSION}" / "versitygw"
    if program.exists():
        return program
    if shutil.which("go") is None:
        pytest.skip("no Go here to build the S3 server with")
    place = cache / f"{program.parent.name}-{os.getpid()}"
    module = f"github.com/versity/versitygw/cmd/versitygw@{VERSION}"
    environment = {**os.environ, "GOBIN": str(place), "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
    built = subprocess.run(["go", "install", module], env=environment, capture_output=True, text=True, check=False)
    if built.returncode and (OFFLINE.search(built.stderr) or "requires go" in built.stderr):
        pytest.skip(f"the S3 server cannot be built here: {built.stderr.strip().splitlines()[-1]}")
    assert built.returncode == 0, built.stderr[-3000:]
    if program.parent.exists():  # another test process was quicker
        shutil.rmtree(place)
    else:
        place.rename(program.parent)
    return program


def _wait_for(url: str, server: Daemon) -> None:
    deadline = time.monotonic() + 120
    while server.is_alive() and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url).close()
        except urllib.error.HTTPError:
            return  # it answers, if only that it knows nobody
        except OSError:
            time.sleep(0.05)
            continue
        return
    raise RuntimeError(f"the S3 server at {url} did not start: {server.log.read_text()[-3000:]}")
