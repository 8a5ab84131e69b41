"""`histospark manifest`: a published data set, as it was unpacked, becomes the manifest that the jobs read."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import click

from cluster.errors import UsageError
from cluster.storage import Store, split_name
from preprocessing.datasets import camelyon16, tupac16, tupac16_mitoses
from preprocessing.datasets.listing import Folder, Listing
from preprocessing.file_states import absolute
from preprocessing.manifest import MANIFEST_SUFFIXES
from preprocessing.slide_entry import SPLITS

DATASETS: Final[Mapping[str, Callable[[Folder], Listing]]] = MappingProxyType(
    {
        "camelyon16": camelyon16.listed,
        "tupac16": tupac16.listed,
        "tupac16-mitoses": tupac16_mitoses.listed,
    }
)


def write_manifest(dataset: str, source: str, out: str, split: str | None = None) -> Listing:
    """List a data set and write its manifest.

    Args:
        dataset: one of `DATASETS`.
        source: URI of the folder into which it was unpacked.
        out: URI of the CSV file.
        split: only slides that the data set itself puts there; None: all.

    Raises:
        UsageError: the folder does not hold it, or not all of it, or no slide of the split.
    """
    if not out.lower().endswith(MANIFEST_SUFFIXES[0]):
        raise UsageError(f"--out {out}: a manifest is a CSV file; give it the ending {MANIFEST_SUFFIXES[0]}")
    listing = DATASETS[dataset](Folder.of(source))
    if split is not None:
        listing = replace(listing, rows=[row for row in listing.rows if row.get("split") == split])
        if not listing.rows:
            raise UsageError(f"--split {split}: {dataset} puts no slide there; without splits, recipes draw them")
    folder, name = split_name(absolute(out))
    Store(folder).write_bytes(listing.csv(), name)
    return listing


@click.command()
@click.option("--dataset", required=True, type=click.Choice(list(DATASETS)), help="Which one.")
@click.option("--source", required=True, help="Folder into which it was unpacked (URI).")
@click.option("--split", type=click.Choice(SPLITS), help="Only slides that the data set itself puts there.")
@click.option("--out", required=True, help="CSV file to write (URI).")
def manifest(dataset: str, source: str, split: str | None, out: str) -> None:
    """List a published data set as the manifest that tile, infer and evaluate take as --slides."""
    listing = write_manifest(dataset, source, out, split)
    for note in listing.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{len(listing.rows)} slides in {out}")
