"""Options that the benchmarks share."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmarks.peers import DEFAULT_FOLDER

_CACHE = Path(tempfile.gettempdir()) / "histospark-bench"


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--cache`."""
    return click.option(
        "--cache",
        type=click.Path(path_type=Path),
        default=_CACHE,
        show_default=True,
        help="Folder for drawn slides (kept, 1 GB) and for what the runs write (removed).",
    )(command)


def paired_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--cache`, `--rounds` and `--peers`."""
    rounds = click.option("--rounds", default=5, show_default=True, help="Counted runs of every way.")
    peers = click.option(
        "--peers",
        type=click.Path(path_type=Path),
        default=DEFAULT_FOLDER,
        show_default=True,
        help="Environment of the peers; built where it is missing.",
    )
    return common_options(rounds(peers(command)))
