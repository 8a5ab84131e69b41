"""Where the first weights of a tower come from: Keras' ImageNet file, a file of one's own, or chance."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

import keras
from fsspec.core import url_to_fs

from cluster.errors import UsageError

IMAGENET_FILE: Final = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
_IMAGENET_URL: Final = f"https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/{IMAGENET_FILE}"
_IMAGENET_MD5: Final = "bcbd6486424b2319ff4ef7d526e38f63"
REMEDY: Final = f"fetch {_IMAGENET_URL} on a machine with network, and give its path as training.weights"


def local_weights(weights: str) -> Path | None:
    """The weights file on this machine.

    Args:
        weights: `imagenet`, `none`, or the path or URL of a file.

    Returns:
        The file, or None for random weights.

    Raises:
        UsageError: there is no such file, or it cannot be downloaded.
    """
    if weights == "none":
        return None
    if weights == "imagenet":
        return _downloaded()
    filesystem, path = url_to_fs(weights)
    if not filesystem.isfile(path):
        raise UsageError(f"training.weights: there is no file {weights}; {REMEDY}")
    if "file" in (filesystem.protocol if isinstance(filesystem.protocol, tuple) else (filesystem.protocol,)):
        return Path(path)
    copy = Path(tempfile.mkdtemp(prefix="histospark-weights-")) / Path(path).name
    with filesystem.open(path) as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target)
    return copy


def _downloaded() -> Path:
    try:
        # The same call, file and cache as keras.applications, so that a file fetched before is found.
        return Path(keras.utils.get_file(IMAGENET_FILE, _IMAGENET_URL, cache_subdir="models", file_hash=_IMAGENET_MD5))
    except Exception as error:  # Keras raises a bare Exception when the network fails
        raise UsageError(f"the ImageNet weights cannot be downloaded; {REMEDY}") from error
