"""Where the first weights of the towers come from: Keras' ImageNet file, a file of one's own, or chance."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import keras
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from cluster.errors import UsageError

_KERAS_FILES: Final = "https://storage.googleapis.com/tensorflow/keras-applications/"


@dataclass(frozen=True)
class ImageNetFile:
    """The weights that Keras offers for a backbone without its top.

    Attributes:
        folder: on Keras' server.
        name: of the file.
        md5: of its content.
    """

    folder: str
    name: str
    md5: str

    @property
    def url(self) -> str:
        """Where Keras fetches it from."""
        return f"{_KERAS_FILES}{self.folder}/{self.name}"

    @property
    def remedy(self) -> str:
        """What to do without the file."""
        return f"fetch {self.url} on a machine with network, and give its path as training.weights"


def remedy(imagenet: ImageNetFile | None) -> str:
    """What to do without a file of weights."""
    return imagenet.remedy if imagenet else "give the path of a model.keras of this backbone, or none"


@contextmanager
def local_weights(weights: str, imagenet: ImageNetFile | None) -> Iterator[Path | None]:
    """The weights file on this machine; a copy from elsewhere lies in a temporary folder until the block ends.

    Args:
        weights: `imagenet`, `none`, or the path or URL of a file.
        imagenet: what `imagenet` stands for; None where nobody offers any.

    Yields:
        The file, or None for random weights.

    Raises:
        UsageError: there is no such file, or it cannot be fetched.
    """
    if weights == "none":
        yield None
    elif weights == "imagenet":
        yield _downloaded(imagenet)
    else:
        with tempfile.TemporaryDirectory(prefix="histospark-weights-") as folder:
            yield _fetched(weights, Path(folder), imagenet)


def _fetched(weights: str, folder: Path, imagenet: ImageNetFile | None) -> Path:
    try:
        filesystem, path = url_to_fs(weights)
        if not filesystem.isfile(path):
            raise UsageError(f"training.weights: there is no file {weights}; {remedy(imagenet)}")
        if isinstance(filesystem, LocalFileSystem):
            return Path(path)
        copy = folder / Path(path).name
        with filesystem.open(path) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
    except (OSError, ValueError, ImportError) as error:  # the storage fails, is unknown, or has no driver here
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(f"training.weights: {weights} cannot be read ({reason}); {remedy(imagenet)}") from error
    return copy


def _downloaded(imagenet: ImageNetFile | None) -> Path:
    if imagenet is None:
        raise UsageError(f"training.weights: there are no ImageNet weights of this backbone; {remedy(imagenet)}")
    try:
        # The same call, file and cache as keras.applications, so that a file fetched before is found.
        return Path(keras.utils.get_file(imagenet.name, imagenet.url, cache_subdir="models", file_hash=imagenet.md5))
    except Exception as error:  # Keras raises a bare Exception when the network fails
        raise UsageError(f"training.weights: the ImageNet weights cannot be downloaded; {imagenet.remedy}") from error
