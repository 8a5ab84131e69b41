"""Drawing many things at a time: a process a core, each thing with its own seed, so that none waits for chance."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

Task = tuple[Callable[..., Any], tuple[object, ...]]
"""What is to be called, and with what."""


def in_parallel(tasks: Sequence[Task]) -> list[Any]:
    """Do all tasks; what each gives, in their order."""
    with ProcessPoolExecutor(min(len(tasks), os.cpu_count() or 1), mp_context=get_context("spawn")) as pool:
        return [future.result() for future in [pool.submit(work, *arguments) for work, arguments in tasks]]
