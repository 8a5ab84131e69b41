"""The mask of a slide's thumbnail as a file: a PNG of one bit a pixel, which people can look at."""

import io
import uuid

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cluster.storage import Store
from preprocessing.shard_file import WRITING

_QUICK = 1  # the mask is small at any level of compression, and this one takes a quarter of the time


def write_mask(mask: NDArray[np.bool_], store: Store, name: str) -> None:
    """Write an (h, w) bool mask, set pixels white. Memory: a byte a pixel, and the file.

    Args:
        mask: of the thumbnail.
        store: the staging folder; where it is gone, as for a worker that comes back after its job, it stays so.
        name: of the file below it.
    """
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG", compress_level=_QUICK)
    with store.new_file(name, f"{WRITING}/{uuid.uuid4().hex}") as file:
        file.write(buffer.getvalue())


def read_mask(store: Store, name: str) -> NDArray[np.bool_]:
    """Read back what `write_mask` wrote: (h, w) bool. Memory: 3 bytes a pixel on the way, and the file.

    Raises:
        ValueError: it is no such file.
    """
    content = store.read_bytes(name)
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if image.mode != "1":
                raise ValueError("it has not one bit a pixel")
            return np.asarray(image)
    except (ValueError, SyntaxError, OSError) as error:
        raise ValueError(f"{name} is not a mask as it was written ({error}); run the job again") from error
