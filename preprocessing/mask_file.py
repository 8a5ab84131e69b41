"""The mask of a slide's thumbnail as a file: a PNG of one bit a pixel, which people can look at."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cluster.storage import Store


def write_mask(mask: NDArray[np.bool_], store: Store, name: str) -> None:
    """Write an (h, w) bool mask, set pixels white, below a folder."""
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG", optimize=True)
    store.write_bytes(buffer.getvalue(), name)


def read_mask(store: Store, name: str) -> NDArray[np.bool_]:
    """Read back what `write_mask` wrote: (h, w) bool."""
    with Image.open(io.BytesIO(store.read_bytes(name))) as image:
        return np.asarray(image.convert("1"))
