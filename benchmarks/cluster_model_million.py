"""Planning a run over a million slides, step by step: seconds and memory of the driver, and what a wave costs there.

    python -m benchmarks.cluster_model_million FOLDER [SLIDES]

Runs as a process of its own, so that its memory is its own. No slide is opened: their files are empty, those of the
table are folders. The ledger holds a row a slide, in a file for each 32 of them, as the first run left it. Prints a
line of JSON a step. What is left to do afterwards is a second run over all slides, by another recipe.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.ours import TILES_256
from benchmarks.planning import WAVE, done, write_manifest
from benchmarks.processes import peak_of
from cluster.storage import Store
from preprocessing import ledger
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.publish import SlideTable
from preprocessing.recipe_file import load_recipe
from preprocessing.schema import slide_folder
from preprocessing.split_summary import summarize_splits

_TIMED_WAVES: Final = 20


@contextmanager
def step(name: str, slides: int) -> Iterator[None]:
    """Time a step and say the largest resident memory so far, MB."""
    started = time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    print(json.dumps({"step": name, "slides": slides, "seconds": seconds, "peak_mb": peak_of(os.getpid())}), flush=True)


def first_run(store: Store, entries: list[SlideEntry], recipe_id: str) -> None:
    """Leave what a run over all slides leaves: folders of the table, and a file of the ledger for every wave."""
    last = ledger.latest(store, "tile")
    for entry in entries:
        Path(store.path("patches"), slide_folder(entry.split, entry.slide_id)).mkdir(parents=True)
    for start in range(0, len(entries), WAVE):
        ledger.append(store, "tile", [done(entry) for entry in entries[start : start + WAVE]], recipe_id, last)


def main(folder: Path, slides: int) -> None:
    """Plan, as `Batch` does, a run over slides that are all done."""
    store, recipe = Store(str(folder / "out")), load_recipe(str(TILES_256))
    with step("files of the slides (not ours)", slides):
        manifest = write_manifest(folder, slides)
    with step("inventory", slides):
        entries = inventory(str(manifest), recipe.tiling, recipe.seed)
    with step("first run: folders and ledger, wave by wave", slides):
        first_run(store, entries, recipe.recipe_id)
    with step("ledger.tidy", slides):
        ledger.tidy(store)
    with step("ledger.latest", slides):
        known = ledger.latest(store, "tile")
    with step("SlideTable.published", slides):
        published = SlideTable(store, "patches").published()
    with step("ledger.pending, nothing to do", slides):
        todo = ledger.pending(entries, known, recipe.recipe_id)
    if todo or len(published) != slides:
        raise SystemExit(f"{len(todo)} slides are to be done again, {len(published)} of {slides} are published")
    with step(f"second run: ledger.append, {_TIMED_WAVES} waves", slides):
        for start in range(0, _TIMED_WAVES * WAVE, WAVE):
            ledger.append(store, "tile", [done(entry) for entry in entries[start : start + WAVE]], "another", known)
    with step("summary of the splits", slides):
        summarize_splits(known)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
