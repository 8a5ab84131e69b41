"""The columns of the ledger, and what its files say of themselves.

Columns are only ever added, at the end and nullable, so that old and new files read as one table. A column that is
removed, renamed or gets another meaning comes with another `histospark.schema_version`, which older readers refuse.
"""

from typing import Any, Final

import pyarrow as pa

from preprocessing.schema import FOOTER_VERSION
from preprocessing.slide_facts import SlideFacts

LEDGER_VERSION: Final = "1"

SCHEMA: Final = pa.schema(
    [
        ("job", pa.string()),
        ("slide_id", pa.string()),
        ("path", pa.string()),
        ("fingerprint", pa.string()),
        ("recipe_id", pa.string()),
        ("status", pa.string()),
        ("error_type", pa.string()),
        ("error", pa.string()),
        ("trace", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("levels", pa.int32()),
        ("mpp", pa.float64()),
        ("objective_power", pa.float64()),
        ("vendor", pa.string()),
        ("candidates", pa.int64()),
        ("patches", pa.int64()),
        ("positives", pa.int64()),
        ("seconds", pa.float64()),
        ("attempt", pa.int32()),
        ("processed_at", pa.timestamp("us", tz="UTC")),
        ("split", pa.string()),
        ("patient_id", pa.string()),
        ("reader", pa.string()),
        ("reader_note", pa.string()),
        ("mpp_source", pa.string()),
        ("requested_mpp", pa.list_(pa.float64())),
        ("effective_mpp", pa.list_(pa.float64())),
        ("stain", pa.list_(pa.float64())),
        ("left_out", pa.int64()),
    ],
    metadata={FOOTER_VERSION: LEDGER_VERSION.encode()},
)


def columns_of(facts: SlideFacts) -> dict[str, Any]:
    """The columns that tell how a slide was read; what is empty becomes null."""
    info = facts.info
    return {
        "width": info.width,
        "height": info.height,
        "levels": len(info.level_sizes),
        "mpp": facts.mpp,
        "objective_power": info.objective_power,
        "vendor": info.vendor,
        "reader": facts.reader,
        "reader_note": facts.reader_note or None,
        "mpp_source": facts.mpp_source,
        "requested_mpp": _numbers(facts.requested_mpp),
        "effective_mpp": _numbers(facts.effective_mpp),
        "stain": _numbers(facts.stain),
    }


def _numbers(values: tuple[float | None, ...]) -> list[float | None] | None:
    return list(values) if any(value is not None for value in values) else None
