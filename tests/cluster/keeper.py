"""Runs a program that does not outlive who asked for it, and neither does anything it ever started.

Containers of YARN are sessions of their own, which no signal to a process group reaches. The keeper adopts what its
program's processes leave behind, and ends it all when its standard input closes: on request, or when pytest has died.

Usage: `python keeper.py PROGRAM ARGUMENT …`; the program's id is printed, its output goes to standard error.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_ADOPT_ORPHANS: Final = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


def main() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_ADOPT_ORPHANS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "the system does not let a process adopt orphans")
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has ended goes without being asked for
    print(program.pid, flush=True)
    sys.stdin.buffer.read()
    while children := _children():
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.01)  # now the children's children are ours


def _children() -> list[int]:
    me, children = str(os.getpid()), []
    for facts in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            if facts.read_text().rpartition(")")[2].split()[1] == me:
                children.append(int(facts.parent.name))
    return children


if __name__ == "__main__":
    main()
