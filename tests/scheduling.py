"""Which tests go together to one of pytest's processes, and in which order: see `make test`.

A file stays together, since its tests share fixtures. All files that need Hadoop go to one process, which starts it
once. The dearest begin first: what takes long and starts late would be waited for at the end.
"""

import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling

_HADOOP: Final = re.compile(
    r'\b(hadoop|hdfs): Hadoop\b|\belsewhere: str\b|"hdfs"\]'
)  # its fixtures, as tests ask for them
_DEAREST: Final = (
    "histospark/test_published_tupac16.py",
    "cluster/hadoop/test_ended_by_yarn.py",  # and with it all that need Hadoop
    "histospark/test_published_slides.py",
    "histospark/test_published_mammography.py",
    "histospark/test_demo.py",
    "cluster/test_chaos_on_standalone.py",
    "preprocessing/test_killed_job_goes_on.py",
    "cluster/test_submit_on_standalone.py",
    "histospark/test_real_mosaics.py",
    "training/test_killed_training_goes_on.py",
    "training/test_replicas.py",
    "training/test_other_ways_to_train.py",
    "preprocessing/test_fuzzed_slides.py",
    "training/test_training_end_to_end.py",
)


class FilesTogether(LoadScopeScheduling):
    """Hands out one file after the other, and those that need Hadoop as one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "all that need Hadoop" if _needs_hadoop(self.config.rootpath / file) else file


@cache
def _needs_hadoop(file: Path) -> bool:
    return _HADOOP.search(file.read_text(encoding="utf-8")) is not None


def dearest_first(items: list[pytest.Item]) -> None:
    """Put the tests of the dearest files first; all else keeps its order."""
    items.sort(key=lambda item: _place(item.path.as_posix()))


def _place(path: str) -> int:
    return next((place for place, file in enumerate(_DEAREST) if path.endswith(f"tests/{file}")), len(_DEAREST))
