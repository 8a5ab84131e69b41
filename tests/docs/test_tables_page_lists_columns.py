"""docs/tables.md lists the columns and keys of every file, with their types and where they may be null."""

import re

import pyarrow as pa
import pytest

from inference.predict import PREDICTION_SCHEMA
from inference.scores import SCORE_SCHEMA
from preprocessing.ledger_schema import SCHEMA
from preprocessing.recipe import Recipe
from preprocessing.run_metrics import RunMetrics, StepMetrics
from preprocessing.schema import patch_schema
from tests.docs.tables_page import PAGE, columns_of


def written_as(schema: pa.Schema) -> list[tuple[str, str]]:
    words = {"float": "float32", "double": "float64", "list<item: double>": "list of float64"}
    return [(field.name, words.get(str(field.type), str(field.type).replace("tz=", ""))) for field in schema]


@pytest.mark.parametrize(
    ("heading", "path_columns", "schema"),
    [
        ("## Patches", 3, "patches"),
        ("## Ledger", 0, SCHEMA),
        ("## Predictions", 1, PREDICTION_SCHEMA),
        ("`OUT/slide_scores/I.parquet`", 0, SCORE_SCHEMA),
    ],
)
def test_page_lists_every_column_with_its_type(
    heading: str, path_columns: int, schema: pa.Schema | str, small: Recipe
) -> None:
    """In the order of the files, behind the columns of the path."""
    schema = patch_schema(small) if isinstance(schema, str) else schema
    listed = columns_of(heading)
    assert all(kind.endswith("(path)") for _, kind in listed[:path_columns])
    assert listed[path_columns:] == written_as(schema)


def test_page_says_null_exactly_where_a_column_may_be(small: Recipe) -> None:
    lines = PAGE.partition("## Patches")[2].partition("### Read it")[0].splitlines()
    never = {line.split("`")[1] for line in lines if line.startswith("| `") and line.split("|")[4].strip() == "never"}
    assert never - {"split", "slide_id"} == {field.name for field in patch_schema(small) if not field.nullable}


def test_page_lists_every_figure_of_a_run_and_of_its_steps() -> None:
    for model, heading in ((RunMetrics, "## Figures of a run"), (StepMetrics, "A step, over all waves")):
        lines = PAGE.partition(heading)[2].partition("| key |")[2].partition("\n\n")[0].splitlines()[2:]
        cells = [[cell.strip() for cell in line.split("|")[1:5]] for line in lines]
        keys = [(key, null) for names, _, _, null in cells for key in re.findall(r"`(\w+)`", names)]
        assert [key for key, _ in keys] == list(model.model_fields)
        may = {name for name, field in model.model_fields.items() if "None" in str(field.annotation)}
        assert {key for key, null in keys if null != "never"} == may
