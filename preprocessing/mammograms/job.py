"""The job that makes mammograms ready: CBIS-DDSM as published in, images of one size with masks and manifests out.

Runs as `histospark mammograms` and as `spark-submit preprocessing/mammograms/job.py`.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

import click
from pyspark.sql import SparkSession

from cluster.entry import run_command
from cluster.errors import ExitCode
from cluster.lock import refuse_locked
from cluster.session import spark_session
from cluster.storage import Store
from preprocessing.batch import Batch, BatchSummary
from preprocessing.datasets.listing import Folder, Listing
from preprocessing.file_states import FileStates
from preprocessing.inventory import refuse_ambiguous
from preprocessing.mammograms.cbis_ddsm import Mammogram, listed_mammograms
from preprocessing.mammograms.prepare_wave import IMAGE, MASK, prepare_wave
from preprocessing.options import tell
from preprocessing.publish import SlideTable
from preprocessing.slide_entry import SlideEntry

TABLE: Final = "images"
REGIONS: Final = "regions.csv"
WHOLE: Final = "whole.csv"
_MAKING: Final = 1  # to be raised when the same files come out otherwise


def run_preparation(
    spark: SparkSession, found: Sequence[Mammogram], out: str, box: tuple[int, int], wave: int = 64
) -> BatchSummary:
    """Make all mammograms ready that are not yet.

    Args:
        spark: the session.
        found: of the data set.
        out: URI of the output folder.
        box: height and width within which images lie; they are padded to a square.
        wave: mammograms worked on together.

    Returns:
        What was done. `out` holds `images/slide_id=I/{image,mask}.png`, the ledger `slides/`, and two manifests of what
        is done: `regions.csv`, with the mask, for patches of regions, and `whole.csv`, labeled benign or malignant.

    Raises:
        UsageError: another job works on the output, or a name cannot be a folder.
    """
    by_id = {mammogram.slide_id: mammogram for mammogram in found}
    table = SlideTable(Store(out), TABLE)
    made = hashlib.sha256(json.dumps([_MAKING, *box]).encode()).hexdigest()[:12]
    entries = _entries(found)
    batch = Batch(spark, "tile", table, made, wave, after=partial(_write_manifests, table, by_id))
    return batch.run(entries, partial(prepare_wave, spark, mammograms=by_id, box=box, table=table))


def _entries(found: Sequence[Mammogram]) -> list[SlideEntry]:
    files_of = {it.slide_id: [it.path, *(file for region in it.regions for file in region.files)] for it in found}
    states = FileStates().states(file for files in files_of.values() for file in files)
    entries = []
    for it in found:
        known = [[states.get(file, "missing") for file in files_of[it.slide_id]], [r.label for r in it.regions]]
        content = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]
        entries.append(SlideEntry(it.slide_id, it.path, patient_id=it.patient_id, fingerprint=content))
    refuse_ambiguous(entries)
    return entries


def _write_manifests(table: SlideTable, by_id: dict[str, Mammogram]) -> None:
    """Of all that is in the table; paths start at the manifests' own folder."""
    done = [by_id[slide_id] for slide_id in sorted(table.published()) if slide_id in by_id]
    common = [
        {
            "slide_id": it.slide_id,
            "path": f"{TABLE}/slide_id={it.slide_id}/{IMAGE}",
            "patient_id": it.patient_id,
            "stratum": "malignant" if it.malignant else "benign",
        }
        for it in done
    ]
    regions = [row | {"mask": f"{TABLE}/slide_id={row['slide_id']}/{MASK}"} for row in common]
    whole = [row | {"label": row["stratum"]} for row in common]
    for name, rows in ((REGIONS, regions), (WHOLE, whole)):
        table.store.write_bytes(Listing(rows).csv(), name)


@click.command()
@click.option("--source", required=True, help="Folder of CBIS-DDSM (URI): its lists and its images, DICOM or PNG.")
@click.option("--out", required=True, help="Output folder (URI).")
@click.option("--height", default=1152, show_default=True, type=click.IntRange(1), help="Of the images, pixels.")
@click.option("--width", default=896, show_default=True, type=click.IntRange(1), help="Of the images, pixels.")
@click.option("--master", default=None, help="Spark master; default: all local cores.")
@click.option("--wave", default=64, show_default=True, type=click.IntRange(1), help="Mammograms worked on at once.")
def mammograms(source: str, out: str, height: int, width: int, master: str | None, wave: int) -> ExitCode:
    """Cut out breasts, bring mammograms to one size, and write them with masks and manifests for tile."""
    found = listed_mammograms(Folder.of(source))
    refuse_locked(Store(out))
    with spark_session("mammograms", master) as spark:
        summary = run_preparation(spark, found, out, (height, width), wave)
    tell(summary, f"tile {out}/{REGIONS} for patches, {out}/{WHOLE} for whole images")
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(run_command(mammograms))
