"""Workers do not read the listings of their archives again for every task, and still find archives added later."""

import subprocess
import sys
from pathlib import Path

CODE = """
import importlib, os, sys, zipfile, zipimport
from cluster.worker import keep_archive_listings

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
keep_archive_listings()
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
