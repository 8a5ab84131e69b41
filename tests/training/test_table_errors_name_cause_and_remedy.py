"""What is wrong with a patch table is said in one line, before anything is trained."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cluster.errors import UsageError
from preprocessing.schema import FOOTER_VERSION, UNLABELED
from tests.training.tiny_table import SLIDES, WrittenTable, tiny_recipe, write_table
from training.table import check_recipe, check_trainable, open_table

Make = Callable[..., WrittenTable]


def some_file(table: WrittenTable) -> Path:
    return min(Path(table.uri).rglob("*.parquet"))


def refused(run: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as caught:
        run()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_good_table_is_described(written: WrittenTable) -> None:
    table = open_table(written.uri)
    check_trainable(table)
    check_recipe(table, written.recipe)
    assert table.recipe_id == written.recipe.recipe_id
    assert table.images == ("image_0", "image_1")
    assert table.splits == ["train", "validation"]
    assert table.rows("train") == 93
    assert table.rows_per_label("train") == {0: 51, 1: 42}
    assert table.rows_per_slide("train") == {"normal_01": 18, "tumor_01": 39, "tumor_02": 36}
    paths = [file.path for file in table.labeled("train")]
    assert paths == sorted(paths)


def test_hidden_folders_and_stray_files_do_not_count(make_table: Make) -> None:
    written = make_table()
    shutil.copytree(Path(written.uri, "patches/split=train"), Path(written.uri, "patches/_staging/split=train"))
    Path(written.uri, "patches/notes.txt").write_text("seen by nobody")
    assert open_table(written.uri).rows("train") == 93


def test_no_patches(tmp_path: Path) -> None:
    assert "has no patches" in refused(lambda: open_table(str(tmp_path)))


def test_a_file_outside_the_layout(make_table: Make) -> None:
    written = make_table()
    shutil.copy(some_file(written), Path(written.uri, "patches/extra.parquet"))
    assert "patches/extra.parquet does not lie in split=" in refused(lambda: open_table(written.uri))


def test_a_file_that_is_not_parquet(make_table: Make) -> None:
    written = make_table()
    some_file(written).write_bytes(b"cut off")
    assert "is no Parquet file" in refused(lambda: open_table(written.uri))


@pytest.mark.parametrize("name", ["_metadata", "_common_metadata"])
def test_a_file_that_petastorm_would_unpickle(make_table: Make, name: str) -> None:
    written = make_table()
    Path(written.uri, "patches", name).write_bytes(b"")
    assert "pickled object" in refused(lambda: open_table(written.uri))


def test_another_schema_version(make_table: Make) -> None:
    written = make_table()
    file = some_file(written)
    content = pq.read_table(file, partitioning=None)
    pq.write_table(content.replace_schema_metadata({**content.schema.metadata, FOOTER_VERSION: b"0"}), file)
    message = refused(lambda: open_table(written.uri))
    assert "schema version 0, this version of histospark works with 1" in message
    assert "tile the slides anew into another folder" in message


def test_a_missing_column(make_table: Make) -> None:
    written = make_table()
    file = some_file(written)
    pq.write_table(pq.read_table(file, partitioning=None).drop(["patch_id"]), file)
    assert "has no column patch_id" in refused(lambda: open_table(written.uri))


def test_a_missing_scale_in_one_file(make_table: Make) -> None:
    written = make_table()
    file = max(Path(written.uri).rglob("*.parquet"))
    pq.write_table(pq.read_table(file, partitioning=None).drop(["image_1"]), file)
    assert "has no column image_1" in refused(lambda: open_table(written.uri))


def test_patches_of_two_recipes(tmp_path: Path) -> None:
    write_table(tmp_path, tiny_recipe(), {("train", "a"): {0: 8}})
    other = tiny_recipe().model_copy(update={"seed": 6})
    write_table(tmp_path, other, {("train", "b"): {0: 8}})
    message = refused(lambda: open_table(str(tmp_path)))
    assert other.recipe_id in message
    assert tiny_recipe().recipe_id in message


def test_a_recipe_that_did_not_cut_the_table(written: WrittenTable) -> None:
    tiling = written.recipe.tiling.model_copy(update={"window": 96})
    recipe = written.recipe.model_copy(update={"tiling": tiling, "seed": 6})
    message = refused(lambda: check_recipe(open_table(written.uri), recipe))
    assert "tiling.window (80 there, 96 here)" in message
    assert "seed (5 there, 6 here)" in message


@pytest.mark.parametrize("split", ["train", "validation"])
def test_unlabeled_slides(make_table: Make, split: str) -> None:
    written = make_table({**SLIDES, (split, "unknown_01"): {None: 8}})
    assert any(Path(written.uri).rglob(f"label={UNLABELED}"))
    message = refused(lambda: check_trainable(open_table(written.uri)))
    assert message.startswith(f"slide unknown_01 in the split {split}")
    for remedy in ("annotate it", "tiling.labels.normal_slides", "another split"):
        assert remedy in message


def test_unlabeled_slides_in_the_test_split_are_left_out(make_table: Make) -> None:
    table = open_table(make_table({**SLIDES, ("test", "unknown_01"): {None: 8}, ("test", "t"): {0: 3, 1: 4}}).uri)
    check_trainable(table)
    assert table.rows("test") == 7


@pytest.mark.parametrize(("split", "label"), [("train", 0), ("validation", 1)])
def test_one_class_only(make_table: Make, split: str, label: int) -> None:
    others = {key: rows for key, rows in SLIDES.items() if key[0] != split}
    written = make_table({**others, (split, "only"): {label: 8}})
    message = refused(lambda: check_trainable(open_table(written.uri)))
    assert f"only patches of label {label} in the split {split}, none of {1 - label}" in message
    assert "move slides that have them there (tiling.splits)" in message


def test_three_classes_are_all_needed_to_train_and_two_to_validate(make_table: Make) -> None:
    table = open_table(
        make_table({("train", "a"): {0: 9, 1: 9}, ("train", "b"): {2: 9}, ("validation", "c"): {0: 9, 2: 9}}).uri
    )
    check_trainable(table, classes=3)
    message = refused(lambda: check_trainable(table, classes=4))
    assert "only patches of label 0 and 1 and 2 in the split train, none of 3" in message


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_labels_that_the_recipe_does_not_know(make_table: Make, split: str) -> None:
    written = make_table({**SLIDES, (split, "other_01"): {2: 8}})
    message = refused(lambda: check_trainable(open_table(written.uri)))
    assert f"patches of label 2 in the split {split}, but the recipe's 2 classes have the labels 0 to 1" in message
    assert "train by the recipe that cut them" in message


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_empty_split(make_table: Make, split: str) -> None:
    written = make_table({key: rows for key, rows in SLIDES.items() if key[0] != split})
    assert f"no rows in the split {split}" in refused(lambda: check_trainable(open_table(written.uri)))


def test_a_slide_in_two_splits(make_table: Make) -> None:
    written = make_table({**SLIDES, ("validation", "tumor_01"): {0: 8}})
    message = refused(lambda: check_trainable(open_table(written.uri)))
    assert "slide tumor_01" in message
    assert "train and validation" in message
