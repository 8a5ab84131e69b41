"""Where a run's model comes from: a file of this machine, or one on HDFS or S3, which is copied with all it needs."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cluster.errors import UsageError
from cluster.local_copies import CopyError, local_copy
from cluster.storage import Store, split_name
from preprocessing.readers.staged import is_elsewhere, local_path
from training.card import card_path, parsed_card
from training.exported import form_files

model_option = click.option("--model", required=True, help="The model file, model.keras: path or URI.")
"""What every command that runs a model takes."""


@contextmanager
def local_model(model: str) -> Iterator[Path]:
    """The model file on this machine, its card and exported forms beside it, until the block ends.

    Args:
        model: path or URI of the `.keras` file.

    Yields:
        Its path, which need not exist where it is one of this machine. What is wrong with a copy is told of the place
        where it comes from.

    Raises:
        UsageError: it lies elsewhere and cannot be had, or has no card beside it.
    """
    if not is_elsewhere(model):
        yield Path(local_path(model))
        return
    try:
        copy = local_copy(model, _files_beside)
    except CopyError as error:
        raise UsageError(f"--model: {error}") from error
    with copy:
        try:
            yield Path(copy.path)
        except UsageError as error:
            raise type(error)(str(error).replace(str(Path(copy.path).parent), split_name(model)[0])) from error


def _files_beside(folder: Store, name: str) -> Iterable[str]:
    """The card of a model, and the exported forms that it names and that are there."""
    card_name = card_path(Path(name)).name
    try:
        card = parsed_card(folder.read_bytes(card_name), f"{folder.uri}/{card_name}")
    except FileNotFoundError as error:
        raise CopyError(
            f"{folder.uri}/{name} has no {card_name} beside it: a model and its card stand side by side, as "
            "`histospark train` writes them"
        ) from error
    forms = (form_files(Path(exported.file)) for exported in (card.exported, card.onnx) if exported is not None)
    return [card_name, *(file.name for files in forms for file in files if folder.exists(file.name))]
