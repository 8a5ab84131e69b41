"""Writing one Parquet shard from a worker: whole or not there, whoever else writes the same."""

import uuid

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.storage import Store
from preprocessing.schema import ROW_GROUP_SIZE

_WRITING = "_writing"


def write_shard(table: pa.Table, store: Store, name: str) -> int:
    """Write under another name, then rename: a killed or repeated task leaves no half shard.

    Args:
        table: the rows, in their final order.
        store: the staging folder.
        name: of the shard below it.

    Returns:
        Size of the file, bytes.
    """
    temporary = f"{_WRITING}/{uuid.uuid4().hex}"
    store.fs.makedirs(store.path(_WRITING), exist_ok=True)
    # Encoded images do not get smaller by compression, and no two are equal.
    compression = {column: "none" if column.startswith("image_") else "snappy" for column in table.column_names}
    strings = [field.name for field in table.schema if pa.types.is_string(field.type)]
    with store.fs.open(store.path(temporary), "wb") as file:
        pq.write_table(table, file, row_group_size=ROW_GROUP_SIZE, use_dictionary=strings, compression=compression)
    size = int(store.fs.size(store.path(temporary)))
    store.move(temporary, name)
    return size
