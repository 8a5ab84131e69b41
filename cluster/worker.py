"""What makes Spark's Python workers quick to take their next task."""

import zipimport


def keep_archive_listings() -> None:
    """Let Python remember what is in the zip archives on its path; to be called by what runs on workers.

    Spark invalidates the import caches at the start of every task. Before Python 3.13 that reads the listing of each
    archive anew, once per package in it: 0.15 s a task for pyspark.zip alone. Archives do not change while
    an application runs; one that is added later is a new entry of the path and is read.
    """
    zipimport.zipimporter.invalidate_caches = _remember  # type: ignore[method-assign]


def _remember(self: zipimport.zipimporter) -> None:
    """Takes the place of the method that reads the archive again."""
