"""The running Python as files that work elsewhere: its program and its standard library.

Python finds its standard library beside its program, wherever that lies. Shared libraries are found by
`LD_LIBRARY_PATH`, which a small `bin/python` sets before it starts the program: nothing in a binary is changed.
The modules of the standard library for terminals, windows and tests stay here.
"""

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib.util import cache_from_source
from pathlib import Path, PurePosixPath
from typing import Final

VERSION: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
PROGRAM: Final = PurePosixPath("bin", VERSION)
LAUNCHERS: Final = tuple(PurePosixPath("bin", name) for name in ("python", "python3"))
LAUNCHER: Final = f"""#!/bin/sh
# Starts the Python beside it with the libraries beside it, and without those of the machine and its users.
case "$0" in */*) here="${{0%/*}}" ;; *) here=. ;; esac
here="$(cd "$here" && pwd -P)" || exit 1
LD_LIBRARY_PATH="${{here%/*}}/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
PYTHONNOUSERSITE=1
export LD_LIBRARY_PATH PYTHONNOUSERSITE
unset PYTHONHOME
exec "$here/{VERSION}" "$@"
"""

_LEFT_OUT: Final = frozenset(
    {"__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages",
     "dist-packages"}
)  # fmt: skip
_MODULES_LEFT_OUT: Final = re.compile(
    r"(_tkinter|_curses|_curses_panel|readline|nis|_dbm|_gdbm|_test\w*|xx\w*|_xx\w*|_ctypes_test)\."
)
Placed = tuple[Path, PurePosixPath]
"""A file, and its path in the archive."""


def interpreter_files() -> Iterator[Placed]:
    """Program and standard library; the launchers are not among them."""
    yield base_program(), PROGRAM
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix, "installed_base": sys.base_prefix,
            "installed_platbase": sys.base_exec_prefix}  # fmt: skip
    folders = {Path(sysconfig.get_path(kind, vars=base)).resolve() for kind in ("stdlib", "platstdlib")}
    for folder in sorted(folders):
        for file in standard_library(folder):
            yield file, PurePosixPath("lib", VERSION, *file.relative_to(folder).parts)


def site_folder() -> PurePosixPath:
    """Where the moved Python looks for installed packages: a system's own Python has another place than others."""
    ask = "import site; print(site.getsitepackages(['/moved'])[-1])"
    said = subprocess.run([base_program(), "-I", "-c", ask], capture_output=True, text=True, check=True)
    return PurePosixPath(said.stdout.strip()).relative_to("/moved")


def base_program() -> Path:
    """The program of this Python: where it runs in a virtual environment, that from which the environment was made."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def standard_library(folder: Path) -> Iterator[Path]:
    """Its modules, each followed by its compiled form, in a fixed order."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT and not name.startswith("config-"))
        for name in sorted(names):
            if not _MODULES_LEFT_OUT.match(name) and not name.endswith((".pyc", ".a")):
                yield from with_compiled(Path(place, name))


def with_compiled(source: Path) -> Iterator[Path]:
    """A file and, where it is Python's and there is an up-to-date one, its compiled form.

    Nodes unpack an archive for each application: each worker process would compile all it imports.
    """
    yield source
    if source.suffix == ".py":
        compiled = Path(cache_from_source(str(source)))
        if compiled.is_file() and _is_of(compiled, source):
            yield compiled


def _is_of(compiled: Path, source: Path) -> bool:
    """Whether Python would take it: its head holds time and size of the source (PEP 552)."""
    facts = source.stat()
    with compiled.open("rb") as file:
        head = file.read(16)
    expected = bytes(4) + (int(facts.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little")
    return head[4:] == expected + (facts.st_size & 0xFFFFFFFF).to_bytes(4, "little")
