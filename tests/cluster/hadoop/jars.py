"""The programs of the servers: jars from Maven Central, kept in the user's cache folder, and jars of pip's pyspark."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Final

from tests.cluster.standalone import SPARK_HOME

VERSION: Final = "3.4.1"  # of the Hadoop clients in pip's pyspark: both halves have to be the same
_CENTRAL: Final = "https://repo1.maven.org/maven2/"
_PINNED: Final = Path(__file__).with_name("jars.txt")
_FROM_PYSPARK: Final = ("hadoop-client-api-*", "hadoop-client-runtime-*", "log4j-*", "slf4j-api-*", "jcl-over-slf4j-*")
_PATIENCE: Final = 60.0  # seconds without a byte


class NoWayThereError(Exception):
    """Maven Central cannot be reached from here."""


def server_jars() -> list[Path]:
    """All jars that the servers' class path needs.

    Raises:
        NoWayThereError: some were never fetched, and cannot be.
        RuntimeError: a file is not the one that was pinned.
    """
    lines = (line.split() for line in _PINNED.read_text().splitlines() if not line.startswith("#"))
    fetched = [_fetched(place, digest) for digest, place in lines]
    shipped = [jar for pattern in _FROM_PYSPARK for jar in sorted((SPARK_HOME / "jars").glob(f"{pattern}.jar"))]
    return [*fetched, *shipped]


def _fetched(place: str, digest: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "histospark-tests"
    target = cache / f"hadoop-{VERSION}" / Path(place).name
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(_CENTRAL + place, timeout=_PATIENCE) as answer:
            data = answer.read()
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError) and error.code == http.HTTPStatus.NOT_FOUND:
            raise
        raise NoWayThereError(f"Maven Central cannot be reached for {Path(place).name}: {error}") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise RuntimeError(f"{_CENTRAL}{place} is not the file that {_PINNED.name} names")
    unfinished = target.with_name(f"{uuid.uuid4().hex}.part")
    unfinished.write_bytes(data)
    unfinished.replace(target)  # in one step: another test process may fetch it, too
    return target
