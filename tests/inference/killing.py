"""A run of `histospark infer` that is killed in the middle."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cluster.storage import Store
from tests.conftest import ROOT

_LIMIT: Final = 300.0  # seconds, for a machine that is stuck


def killed_once_a_slide_is_done(arguments: Sequence[object], out: Store, log: Path) -> None:
    """The whole process group, Java and the workers with it, by SIGKILL.

    Args:
        arguments: of `histospark`.
        out: what it writes into.
        log: gets what it says.
    """
    script = Path(sys.executable).with_name("histospark")
    with log.open("w") as said:
        job = subprocess.Popen(
            [str(script), *map(str, arguments)], stdout=said, stderr=said, cwd=ROOT, start_new_session=True,
            env=os.environ,
        )  # fmt: skip
        deadline = time.monotonic() + _LIMIT
        try:
            # a slide whose mark still stands would be done again
            while not out.folders("slides/*.parquet") or out.exists("_publishing-predictions"):
                assert job.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.01)
        finally:
            os.killpg(job.pid, signal.SIGKILL)
            job.wait()
