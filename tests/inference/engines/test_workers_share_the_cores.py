"""Engines of several workers do not compete for one core: none binds its thread."""

import subprocess
import sys
from pathlib import Path

LOOK = """
import os, sys, threading
import numpy as np
from inference.engines.openvino_engine import OpenVinoEngine

allowed = os.sched_getaffinity(0)
engine = OpenVinoEngine(sys.argv[1], 16)
images = [np.full((64, 80, 80, 3), 150, np.uint8)] * 2
computing, seen = threading.Event(), set()

def look():
    while not computing.is_set():
        for thread in os.listdir("/proc/self/task"):
            seen.add(frozenset(os.sched_getaffinity(int(thread))))

looking = threading.Thread(target=look)
looking.start()
for _ in range(20):
    engine.predict([images])
computing.set()
looking.join()
assert seen == {frozenset(allowed)}, (seen, allowed)
"""


def test_no_thread_of_openvino_is_bound_to_a_core(exported: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LOOK, exported.with_name("model.xml")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
