"""What stands in an imported table, read by pyarrow alone."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image


def imported_rows(out: Path) -> list[dict[str, Any]]:
    """All rows, with what their path says and their decoded pixels."""
    rows = []
    for path in sorted((out / "patches").rglob("*.parquet")):
        keys = dict(part.split("=") for part in path.relative_to(out / "patches").parts[:-1])
        for row in pq.ParquetFile(path).read().to_pylist():
            pixels = np.asarray(Image.open(io.BytesIO(row["image_0"])))
            rows.append(row | keys | {"label": int(keys["label"]), "pixels": pixels})
    return rows
