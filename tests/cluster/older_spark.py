"""Spark 3.5, as clusters still have it: from the package index once, into a cache folder."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

VERSION: Final = "3.5.9"
_PINNED: Final = f"pyspark=={VERSION} --hash=sha256:ea27adc39ddac9413b8951e45aa748cbed6c785971b81386efc41938f6243d93\n"
_OFFLINE: Final = re.compile(
    r"name resolution|NewConnectionError|timed? ?out|unreachable|Connection refused|ProxyError|SSLError", re.IGNORECASE
)


def older_spark_home() -> Path:
    """Its folder; skips the test where it is not there yet and the package index cannot be reached."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "histospark-tests"
    folder = cache / f"pyspark-{VERSION}"
    home, whole = folder / "pyspark", folder / "installed"
    if not whole.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pinned = folder / "pinned.txt"
        pinned.write_text(_PINNED)
        pip = [sys.executable, "-m", "pip", "--retries", "1", "--timeout", "20", "install", "--quiet", "--no-compile"]
        command = [*pip, "--no-deps", "--upgrade", "--require-hashes", "--target", folder, "-r", pinned]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and _OFFLINE.search(done.stderr):
            pytest.skip(f"Spark {VERSION} cannot be installed: no way to the package index")
        assert done.returncode == 0, done.stderr[-3000:]
        whole.touch()
    return home
