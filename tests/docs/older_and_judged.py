"""What the output of `tile` has beside it: a ledger from before its newest columns, and what `infer` writes."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inference.predict import PREDICTION_SCHEMA
from inference.scores import SCORE_SCHEMA
from inference.slide_files import LESION_COLUMNS
from preprocessing.ledger_schema import SCHEMA


def write_old_ledger(out: Path) -> None:
    old = pa.schema(
        [field for field in SCHEMA if SCHEMA.get_field_index(field.name) < SCHEMA.get_field_index("reader")]
    )
    row = {"slide_id": "0012", "patches": 9, "attempt": 1, "processed_at": datetime(2020, 1, 1, tzinfo=UTC)}
    rows = [{**row, "job": "tile", "status": "failed", "error": "an older attempt"}, {**row, "job": "infer"}]
    (out / "slides").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, old), out / "slides" / "20200101T000000000000-0.parquet")


def write_predictions(out: Path) -> None:
    rng = np.random.default_rng(5)
    lines = [",".join(LESION_COLUMNS)]
    (out / "slide_scores").mkdir()
    for slide in ("0012", "0100"):
        folder = out / "predictions" / f"slide_id={slide}"
        folder.mkdir(parents=True)
        columns = [rng.integers(0, 900, 40), rng.integers(0, 900, 40), rng.random(40), rng.random(40), ["m"] * 40]
        arrays = [pa.array(column).cast(field.type) for column, field in zip(columns, PREDICTION_SCHEMA, strict=True)]
        pq.write_table(pa.Table.from_arrays(arrays, schema=PREDICTION_SCHEMA), folder / "part-00000.parquet")
        score = {"slide_id": slide, "score": 0.5, "lesions": 2, "model_id": "m", "engine": "keras"}
        pq.write_table(pa.Table.from_pylist([score], SCORE_SCHEMA), out / "slide_scores" / f"{slide}.parquet")
        lines += [f"{slide},100,200,0.9", f"{slide},300,400,0.8"]
    (out / "lesions.csv").write_text("\n".join(lines) + "\n")
