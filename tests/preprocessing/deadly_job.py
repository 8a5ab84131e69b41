"""A batch on real Spark workers, some of whose slides end them; the slide's name says how.

    python -m tests.preprocessing.deadly_job MASTER OUT SLIDE…

Prints as JSON how often a wave was started.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster.session import spark_session
from cluster.storage import Store
from preprocessing.batch import Batch
from preprocessing.inventory import SlideEntry
from preprocessing.isolation import isolated
from preprocessing.ledger import Outcome, failed_by
from preprocessing.publish import SlideTable
from tests.preprocessing.committing import entries_of


def main(master: str, out: str, *slides: str) -> None:
    table = SlideTable(Store(out), "patches")
    staging, waves = table.staging, []

    def read(entry: SlideEntry) -> Outcome:
        try:
            with isolated(entry.slide_id, "unit", staging):
                _end_worker(entry.slide_id, out)
                return Outcome(entry, "empty")
        except Exception as error:
            return failed_by(entry, error)

    with spark_session("test", master) as spark:

        def do_wave(wave: Sequence[SlideEntry]) -> list[Outcome]:
            waves.append(len(wave))
            return spark.sparkContext.parallelize(list(wave), len(wave)).map(read).collect()

        Batch(spark, "tile", table, "a", wave=32).run(entries_of(slides), do_wave)
    sys.stdout.write(json.dumps(waves))


def _end_worker(slide_id: str, out: str) -> None:
    if slide_id == "crashes":
        ctypes.string_at(0)
    elif slide_id == "hangs":
        ctypes.PyDLL(None).sleep(1000)  # holds the interpreter's lock
    elif slide_id == "is_killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif slide_id == "is_killed_once" and not (note := Path(f"{out}.killed")).exists():
        note.touch()
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
