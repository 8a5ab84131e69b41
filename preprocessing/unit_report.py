"""What a unit of work reports to the driver: one row, whether it went well or not."""

import traceback
from typing import Final

import pandas as pd

# `rows` is null where the unit failed.
REPORT_COLUMNS: Final = (
    "slide_id string, shard int, rows long, positives long, seconds double, "
    "error_type string, error string, trace string"
)
_NAMES: Final = [column.split()[0] for column in REPORT_COLUMNS.split(", ")]


def unit_report(slide_id: str, shard: int, rows: int, positives: int, seconds: float) -> pd.DataFrame:
    """The row of a unit that wrote its rows."""
    values = [slide_id, shard, rows, positives, seconds, None, None, None]
    return pd.DataFrame([dict(zip(_NAMES, values, strict=True))])


def failure_report(slide_id: str, shard: int, error: Exception) -> pd.DataFrame:
    """The row of a unit that raised; to be called where the error is handled, which gives the trace."""
    values = [slide_id, shard, None, None, None, type(error).__name__, str(error), traceback.format_exc()]
    return pd.DataFrame([dict(zip(_NAMES, values, strict=True))])
