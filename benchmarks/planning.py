"""Planning a run over very many slides, without a pixel: the listing, the ledger, and what is left to do.

    python -m benchmarks.planning FOLDER SLIDES

Runs as a process of its own (`scale` starts it), so that its memory is its own. Prints one line of JSON.
"""

import json
import resource
import sys
import time
from pathlib import Path

from benchmarks.ours import TILES_256
from cluster.storage import Store
from preprocessing import ledger
from preprocessing.inventory import inventory
from preprocessing.ledger import Outcome
from preprocessing.readers.base import SlideInfo
from preprocessing.recipe_file import load_recipe
from preprocessing.slide_entry import SlideEntry
from preprocessing.slide_facts import SlideFacts

WAVE = 32
_LEVELS = tuple((100_000 >> k, 80_000 >> k) for k in range(9))
_FACTS = SlideFacts(SlideInfo(_LEVELS, tuple(2.0**k for k in range(9)), 0.25, 40.0, "generic-tiff"), "direct", "", 0.25)


def write_manifest(folder: Path, slides: int) -> Path:
    """A manifest of slides that exist as empty files, ten a patient, in folders of a thousand."""
    manifest = folder / "manifest.csv"
    lines = ["slide_id,path,patient_id,label"]
    for number in range(slides):
        path = folder / "slides" / f"{number // 1000:04d}" / f"slide_{number:06d}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        lines.append(f"slide_{number:06d},{path},patient_{number // 10:05d},{('normal', 'tumor')[number % 2]}")
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


def done(entry: SlideEntry) -> Outcome:
    """As if the slide had been tiled."""
    return Outcome(entry, "done", _FACTS, candidates=9000, patches=9000, positives=300, seconds=12.5)


def main(folder: Path, slides: int) -> None:
    """Plan twice: with an empty ledger, and with one in which nearly all slides are done."""
    store, recipe = Store(str(folder / "out")), load_recipe(str(TILES_256))
    manifest = write_manifest(folder, slides)
    seconds = {}
    started = time.perf_counter()
    entries = inventory(str(manifest), recipe.tiling, recipe.seed)
    todo = ledger.pending(entries, ledger.latest(store, "tile"), recipe.recipe_id)
    seconds["plan anew"] = time.perf_counter() - started
    if len(todo) != slides:
        raise SystemExit(f"{len(todo)} of {slides} new slides are to be done")
    last = ledger.latest(store, "tile")
    started = time.perf_counter()
    for start in range(0, slides - WAVE, WAVE):
        ledger.append(store, "tile", [done(entry) for entry in entries[start : start + WAVE]], recipe.recipe_id, last)
    seconds["write the ledger, wave by wave"] = time.perf_counter() - started
    del entries, todo, last
    started = time.perf_counter()
    entries = inventory(str(manifest), recipe.tiling, recipe.seed)
    ledger.tidy(store)
    todo = ledger.pending(entries, ledger.latest(store, "tile"), recipe.recipe_id)
    seconds["plan again"] = time.perf_counter() - started
    if not 0 < len(todo) <= WAVE:
        raise SystemExit(f"{len(todo)} slides are to be done again")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
