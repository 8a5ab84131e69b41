"""Whether a patch table holds all that its ledger promises, and what the ledger says is missing."""

import logging

from cluster.errors import UsageError
from cluster.storage import Store
from preprocessing import ledger
from training.table import PatchTable

log = logging.getLogger("histospark")


def check_complete(table: PatchTable) -> None:
    """Compare the rows of every slide with the ledger beside the table; slides that failed are named in the log.

    A table copied without its ledger is taken as it is.

    Raises:
        UsageError: a slide has another number of rows than its ledger row says.
    """
    store = Store(table.uri)
    if not store.exists(ledger.FOLDER):
        return
    last = ledger.latest(store, "tile").set_index("slide_id")
    done = last[last["status"] == "done"]
    rows = {slide: count for split in table.splits for slide, count in table.rows_per_slide(split).items()}
    for slide in sorted(rows.keys() | set(done.index)):
        promised = int(done["patches"].get(slide, 0))
        if rows.get(slide, 0) != promised:
            raise UsageError(
                f"slide {slide} has {rows.get(slide, 0)} patches in {table.uri}, its ledger says {promised}: "
                "a file was lost or added, or a tile job is at work; tile again"
            )
    failed = sorted(last.index[last["status"] == "failed"])
    if failed:
        log.warning("%d slides failed in tiling and are not trained on: %s", len(failed), ", ".join(failed[:10]))
