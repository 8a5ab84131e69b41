"""The environment of executors as one archive: Python itself and the libraries of a job, for nodes that have neither.

The libraries are those that are installed here, so that executors run the versions that this machine was tested with,
and packing needs no package index. An archive is made once for each set of versions and kept in the cache.

venv-pack 0.2.0 would pack a whole environment, TensorFlow included, and link to an interpreter that every node must
have under the same path.
"""

import csv
import hashlib
import io
import logging
import platform
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import Distribution
from pathlib import Path, PurePosixPath
from typing import Final

from cluster.errors import UsageError
from cluster.interpreter import LAUNCHER, LAUNCHERS, PROGRAM, Placed, interpreter_files, site_folder, with_compiled
from cluster.shared_libraries import system_libraries
from cluster.user_cache import cache_folder, made_once

_FORMAT: Final = "1"  # of the archive; a new one makes old archives unused
_QUICK: Final = 1  # gzip level: the highest takes seven times as long for a twentieth less

log = logging.getLogger("histospark")


def packed_environment(distributions: Sequence[Distribution]) -> Path:
    """The archive of Python and some distributions, made now or before; memory: one file's bytes.

    Args:
        distributions: of the running environment, see `cluster.closure`.

    Returns:
        `env-KEY.tar.gz` in the user's cache; `bin/python` in it runs from wherever it is unpacked.

    Raises:
        UsageError: a distribution's list of files is missing or not true, or this is no Linux.
    """
    target = cache_folder("envs") / f"env-{environment_key(distributions)}.tar.gz"
    return made_once(target, partial(_pack, distributions))


def environment_key(distributions: Iterable[Distribution]) -> str:
    """Short hash of what shapes an archive: names, versions and listed contents, and this Python on this platform."""
    facts = [_FORMAT, sys.version, sys.base_prefix, platform.machine(), *platform.libc_ver()]
    for each in distributions:
        facts += [each.name, each.version, each.read_text("RECORD") or ""]
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]


def _pack(distributions: Sequence[Distribution], target: Path) -> None:
    started = time.monotonic()
    log.info(
        "packing Python %s and %d libraries for the executors, once", platform.python_version(), len(distributions)
    )
    placed = [*interpreter_files(), *_library_files(distributions)]
    binaries = (source for source, name in placed if name == PROGRAM or ".so" in name.suffixes)
    placed += [(source, PurePosixPath("lib", name)) for name, source in system_libraries(binaries).items()]
    with tarfile.open(target, "w:gz", compresslevel=_QUICK, format=tarfile.GNU_FORMAT) as archive:
        for name in LAUNCHERS:
            _add_text(archive, name, LAUNCHER)
        for source, name in placed:
            _add(archive, source, name)
    log.info("packed %d MB in %.0f s: %s", target.stat().st_size >> 20, time.monotonic() - started, target.parent)


def _library_files(distributions: Iterable[Distribution]) -> Iterator[Placed]:
    folder = site_folder()
    for each in distributions:
        for source, name in _files_of(each):
            yield source, folder / name


def _files_of(distribution: Distribution) -> Iterator[Placed]:
    """What a distribution has in its folder of packages, by its own list; programs and test suites stay here."""
    record = distribution.read_text("RECORD")  # `files` leaves out what is missing, where a backport of it is loaded
    if record is None:
        raise UsageError(
            f"{distribution.name} was installed without a list of its files, so it cannot be packed: install "
            "histospark by pip into an environment of its own"
        )
    for listed in sorted(PurePosixPath(row[0]) for row in csv.reader(record.splitlines()) if row):
        if ".." in listed.parts or "tests" in listed.parts or listed.suffix == ".pyc":
            continue
        source = Path(str(distribution.locate_file(str(listed))))
        if not source.is_file():
            raise UsageError(
                f"{distribution.name} {distribution.version} lacks its file {listed}: pip install --force-reinstall it"
            )
        folder = listed.parent
        for file in with_compiled(source):
            yield file, folder / file.relative_to(source.parent)


def _add(archive: tarfile.TarFile, source: Path, name: PurePosixPath) -> None:
    """Add a file under another name, links followed, of nobody, with its time, by which Python knows compiled files."""
    facts = source.stat()
    entry = tarfile.TarInfo(str(name))
    entry.size, entry.mtime, entry.mode = facts.st_size, int(facts.st_mtime), 0o755 if facts.st_mode & 0o111 else 0o644
    with source.open("rb") as file:
        archive.addfile(entry, file)


def _add_text(archive: tarfile.TarFile, name: PurePosixPath, text: str) -> None:
    entry = tarfile.TarInfo(str(name))
    entry.size, entry.mode = len(text.encode()), 0o755
    archive.addfile(entry, io.BytesIO(text.encode()))
