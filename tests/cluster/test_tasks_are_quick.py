"""What Spark does between two tasks of a worker takes no time, and still does its work."""

import subprocess
import sys
from pathlib import Path

CODE = """
import importlib, os, sys, zipfile, zipimport
from cluster.worker import make_tasks_quick

def archive(name):
    with zipfile.ZipFile(f"{name}.zip", "w") as file:
        file.writestr(f"{name}.py", "value = 7")
    return os.path.abspath(f"{name}.zip")

reads = []
original = zipimport._read_directory
zipimport._read_directory = lambda path: (reads.append(path), original(path))[1]
sys.path.append(archive("first"))
import first
reads.clear()
importlib.invalidate_caches()
before = len(reads)
make_tasks_quick()
reads.clear()
importlib.invalidate_caches()
after = len(reads)
sys.path.append(archive("second"))
import second
print(before > 0, after, first.value + second.value)
"""


def test_listing_is_read_once_and_later_archives_are_found(tmp_path: Path) -> None:
    said = subprocess.run([sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.stdout.split() == ["True", "0", "14"], said.stderr


GARBAGE = """
import gc, weakref
from cluster.worker import make_tasks_quick

class Ring:
    def __init__(self):
        self.itself = self

class Imported:  # stays, as what a task imports does
    pass

make_tasks_quick()
first = gc.get_freeze_count()
kept = [Imported() for _ in range(500)]
gc.collect()
second = gc.get_freeze_count()
later = [Imported() for _ in range(500)]
gc.collect()
third = gc.get_freeze_count()
make_tasks_quick()
ring = Ring()
gone = weakref.ref(ring)
del ring
gc.collect()
print(first > 10_000, first + 500 <= second, second + 500 <= third, gone() is None)
"""


def test_garbage_of_tasks_is_collected_and_libraries_are_not_searched_for_it() -> None:
    said = subprocess.run([sys.executable, "-c", GARBAGE], capture_output=True, text=True, check=False)
    assert said.stdout.split() == ["True"] * 4, said.stderr
