"""Reading what the jobs wrote, by pandas and by hand, for comparison."""

import hashlib
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq


def patches_of(out: Path, slide_id: str = "*") -> pd.DataFrame:
    """All patches of a slide, or of all, with `label`, `slide_id` and `split` from the path."""
    frames = []
    for path in sorted(out.glob(f"patches/split=*/slide_id={slide_id}/label=*/*.parquet")):
        label = path.parent.name.removeprefix("label=")
        frame = pq.ParquetFile(path).read().to_pandas()
        frame["label"] = None if label == "__HIVE_DEFAULT_PARTITION__" else int(label)
        frame["slide_id"] = path.parents[1].name.removeprefix("slide_id=")
        frame["split"] = path.parents[2].name.removeprefix("split=")
        frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def ledger_of(out: Path) -> pd.DataFrame:
    """Every row of the ledger, oldest first."""
    rows = pd.concat([pd.read_parquet(path) for path in sorted(out.glob("slides/*.parquet"))])
    return rows.sort_values(["processed_at", "slide_id"], ignore_index=True)


def digests(out: Path, table: str = "patches") -> dict[str, str]:
    """Hash of every file of a table, by its path: equal when names, rows, order and image bytes are."""
    files = sorted((out / table).rglob("*.parquet"))
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
