"""A job that ends before any one of its effects on the disk costs nothing: the next run gives the undisturbed table.

The effects are those that Python itself reports (audit events), so that none is forgotten, whoever causes it.
"""

import multiprocessing
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.preprocessing.committing import COMPANIONS, SLIDES, run_and_die, run_job, settled, statuses

# Children of a clean parent: this process may hold Spark and TensorFlow, which do not survive a fork.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.preprocessing.committing"])


def undisturbed(out: Path, recipe: str, split: str) -> dict[str, str]:
    run_job(str(out), recipe, split=split)
    return settled(out)


def points(base: Path, out: Path, recipe: str, split: str) -> Iterator[int]:
    """The output after a crash before effect 1, 2, 3 … of a run that starts from `base`; until none is left."""
    for effect in range(1, 1000):
        shutil.rmtree(out, ignore_errors=True)
        if base.exists():
            shutil.copytree(base, out)
        process = PROCESSES.Process(target=run_and_die, args=(str(out), recipe, effect, split))
        process.start()
        process.join()
        if process.exitcode == 0:
            assert effect > 50, "the job was hardly interrupted at all"
            return
        assert process.exitcode == 77, f"effect {effect} ended with {process.exitcode}"
        assert_readers_see_whole_slides(out)
        yield effect


def assert_readers_see_whole_slides(out: Path) -> None:
    """Each slide that shows has both of its files."""
    for folder in out.glob("patches/split=*/slide_id=*"):
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        assert files == ["label=0/part-00000.parquet", "label=1/part-00000.parquet"], folder


def test_first_run(tmp_path: Path) -> None:
    expected = undisturbed(tmp_path / "good", "a", "train")
    assert {COMPANIONS[0].format("torn"), COMPANIONS[1].format("fine [1]"), "recipe.yaml"} <= expected.keys()
    for effect in points(tmp_path / "none", tmp_path / "out", "a", "train"):
        run_job(str(tmp_path / "out"), "a")
        assert settled(tmp_path / "out") == expected, f"after a crash before effect {effect}"
        assert statuses(tmp_path / "out") == {"empty": "empty", "fine [1]": "done", "torn": "done"}


def test_run_with_another_recipe_and_split_over_a_finished_table(tmp_path: Path) -> None:
    """The hard case is the way back: the ledger says done by a, while the crash may have left the rows of b.

    After each crash three runs are tried: the same again, back to the first recipe, and one that names a single slide.
    """
    expected = {
        recipe: undisturbed(tmp_path / recipe, recipe, split) for recipe, split in (("a", "train"), ("b", "test"))
    }
    shutil.copytree(tmp_path / "a", tmp_path / "base")
    out, crashed = tmp_path / "out", tmp_path / "crashed"
    for effect in points(tmp_path / "base", crashed, "b", "test"):
        for recipe, split in (("a", "train"), ("b", "test")):
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(crashed, out)
            assert undisturbed(out, recipe, split) == expected[recipe], f"{recipe} after a crash before effect {effect}"
            assert statuses(out)["torn"] == ("done" if recipe == "a" else "failed")
        run_job(str(crashed), "a", ["empty"])
        assert_table_and_ledger_agree(crashed, effect)


def assert_table_and_ledger_agree(out: Path, effect: int) -> None:
    """Slides that the run did not name are whole, or not promised by the ledger."""
    found, said = settled(out), statuses(out)
    for slide in SLIDES:
        shards = [name for name in found if f"slide_id={slide}/" in name]
        beside = [companion for companion in COMPANIONS if companion.format(slide) in found]
        complete = (2, len(COMPANIONS)) if said[slide] == "done" else (0, 0)
        assert (len(shards), len(beside)) == complete, f"{slide} after a crash before effect {effect}"
