"""Reading what inference wrote."""

import hashlib
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq


def predictions_of(out: Path, slide_id: str) -> pd.DataFrame:
    """All predictions of a slide, in the order of its files."""
    files = sorted((out / "predictions" / f"slide_id={slide_id}").glob("*.parquet"))
    return pd.concat([pq.ParquetFile(path).read().to_pandas() for path in files], ignore_index=True)


def contents(out: Path) -> dict[str, str]:
    """Hash of every file of an output except the ledger's and the figures of runs, by its path."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    names = {str(path.relative_to(out)): path for path in files}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in names.items()
        if not name.startswith(("slides/", "metrics/"))
    }
