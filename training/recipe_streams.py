"""The streams of a recipe: the training split as it is trained on, and any split row by row."""

from preprocessing.recipe import Recipe
from training.stream import Shuffle, SplitStream
from training.table import PatchTable


def training_stream(table: PatchTable, recipe: Recipe) -> SplitStream:
    """The training split: mixed, and drawn as the recipe says."""
    training = recipe.training
    return SplitStream(
        table,
        "train",
        recipe.tiling.stored_window,
        training.batch_size,
        training.reader_workers,
        shuffle=Shuffle(recipe.seed, training.shuffle_rows),
        sampling=training.sampling,
    )


def split_stream(table: PatchTable, split: str, recipe: Recipe) -> SplitStream:
    """Each row of a split once, in the order of the files."""
    training = recipe.training
    return SplitStream(table, split, recipe.tiling.stored_window, training.batch_size, training.reader_workers)
