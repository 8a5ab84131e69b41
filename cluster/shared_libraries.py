"""Which shared libraries of the system a set of programs and modules loads, so that they can go along.

Left to the node: the C library and its loader (it must be as new as here), libstdc++ and libgcc (every Linux wheel
expects them), and NVIDIA's driver.
"""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cluster.errors import UsageError

_OF_THE_NODE: Final = re.compile(
    r"(ld-linux|libc\.so|libm\.so|libdl\.so|libpthread\.so|librt\.so|libutil\.so|libresolv\.so|libnsl\.so\.1$|libmvec\.so"
    r"|libanl\.so|libthread_db\.so|libnss_|libstdc\+\+\.so|libgcc_s\.so|libcuda\.so|libnvidia-)"
)
_FOUND: Final = re.compile(r"^\s*(\S+) => (/\S+) \(0x", flags=re.MULTILINE)


def system_libraries(binaries: Iterable[Path]) -> dict[str, Path]:
    """Shared libraries that lie in none of the binaries' own folders, directly loaded or not.

    What a binary loads from beside itself goes along with its package anyway.

    Args:
        binaries: programs and modules; what is neither is passed over.

    Returns:
        Where each lies, by the name it is asked for, in order of the names.

    Raises:
        UsageError: this is no Linux with `ldd`.
    """
    binaries = list(binaries)
    try:
        said = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError as error:
        raise UsageError(
            "the environment of executors is packed on a Linux like theirs, and this machine has no ldd: submit from "
            "a machine of the cluster"
        ) from error
    beside = {binary.resolve() for binary in binaries}
    found = {name: Path(path).resolve() for name, path in _FOUND.findall(said)}
    return {name: found[name] for name in sorted(found) if not _OF_THE_NODE.match(name) and found[name] not in beside}
