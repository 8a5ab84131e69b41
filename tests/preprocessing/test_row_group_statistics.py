"""A reader of a region or of single patches passes over the row groups of all others, and footers stay small."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from cluster.storage import Store
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.recipe import Recipe
from preprocessing.schema import FOOTER_RECIPE, ROW_GROUP_SIZE, patch_schema
from preprocessing.shard_file import write_shard

EXACT = ("patch_id", "x", "y", "center_fraction", "tissue_fraction")


@pytest.fixture(scope="module")
def files(spark: SparkSession, drawn: Path, small: Recipe, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The patch files of one slide, of many units of work."""
    out = tmp_path_factory.mktemp("out")
    slide = str(drawn / "tumor_02.tif")
    assert run_tiling(spark, small, inventory(slide, small.tiling, small.seed), str(out)).done == 1
    found = sorted(out.glob("patches/**/*.parquet"))
    assert len({path.name for path in found}) > 4  # one name a unit
    return found


@pytest.fixture
def long_file(small: Recipe, tmp_path: Path) -> Path:
    """A unit of four row groups, its images larger than what Parquet keeps of a value by itself, and smaller."""
    rows, rng = 4 * ROW_GROUP_SIZE, np.random.default_rng(3)
    schema = patch_schema(small)
    columns = {
        "patch_id": np.sort(rng.integers(-(2**63), 2**63 - 1, rows)),
        "x": rng.integers(0, 8192, rows),
        "y": rng.integers(0, 4096, rows),
        "center_fraction": np.full(rows, None),
        "tissue_fraction": rng.random(rows),
        "image_0": [rng.bytes(300) for _ in range(rows)],
        "image_1": [rng.bytes(6000) for _ in range(rows)],
        "recipe_id": ["r"] * rows,
    }
    arrays = [pa.array(columns[field.name], from_pandas=True).cast(field.type) for field in schema]
    (tmp_path / "_writing").mkdir()
    table = pa.Table.from_arrays(arrays, schema=schema)
    groups = [table.slice(start, ROW_GROUP_SIZE) for start in range(0, rows, ROW_GROUP_SIZE)]
    write_shard(groups, schema, Store(str(tmp_path)), "unit/part-00000.parquet")
    return tmp_path / "unit" / "part-00000.parquet"


def test_statistics_of_places_are_exact(files: list[Path], long_file: Path) -> None:
    for path in [*files, long_file]:
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group).to_pandas()
            meta = file.metadata.row_group(group)
            columns = {meta.column(i).path_in_schema: meta.column(i) for i in range(meta.num_columns)}
            for name in EXACT:
                statistics, values = columns[name].statistics, rows[name].dropna()
                assert statistics.null_count == len(rows) - len(values)
                if len(values):
                    assert (statistics.min, statistics.max) == (values.min(), values.max()), (path, name)


def test_images_have_no_statistics_and_the_footer_no_pixels(files: list[Path], long_file: Path) -> None:
    for path in [*files, long_file]:
        meta = pq.read_metadata(path)
        for group in range(meta.num_row_groups):
            columns = [meta.row_group(group).column(i) for i in range(meta.num_columns)]
            for column in columns:
                if column.path_in_schema.startswith("image_"):
                    assert not column.is_stats_set, path
        recipe = len(meta.metadata[FOOTER_RECIPE])  # kept twice, the second time in base64 in Arrow's own schema
        assert meta.serialized_size < 3 * recipe + 4096 + 1500 * meta.num_row_groups


def test_reader_of_a_region_opens_few_row_groups_and_misses_no_row(files: list[Path]) -> None:
    every = pd.concat(pd.read_parquet(path, partitioning=None) for path in files)
    left, top = every["x"].quantile(0.4), every["y"].quantile(0.4)
    near = every[every["x"].between(left, left + 100) & every["y"].between(top, top + 100)]
    region = (ds.field("x") >= left) & (ds.field("x") <= left + 100)
    region &= (ds.field("y") >= top) & (ds.field("y") <= top + 100)
    fragments = list(ds.dataset([str(path) for path in files]).get_fragments())
    left_over = [fragment.subset(region) for fragment in fragments]
    groups = sum(fragment.num_row_groups for fragment in fragments)
    read = sum(fragment.num_row_groups for fragment in left_over)
    assert 0 < read <= groups / 2
    found = pa.concat_tables([fragment.to_table(filter=region) for fragment in left_over])
    assert len(near) > 0
    assert sorted(found["patch_id"].to_pylist()) == sorted(near["patch_id"])


def test_reader_of_one_patch_opens_one_row_group(long_file: Path) -> None:
    """Rows lie in the order of `patch_id`, so that a list of patches is looked up quickly."""
    ids = pq.read_table(long_file, columns=["patch_id"])["patch_id"]
    fragment = next(iter(ds.dataset(str(long_file)).get_fragments()))
    assert fragment.num_row_groups == 4
    for row in (0, ROW_GROUP_SIZE, len(ids) - 1):
        assert fragment.subset(ds.field("patch_id") == ids[row]).num_row_groups == 1
