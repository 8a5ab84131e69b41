"""The mask of a slide's thumbnail as a file: a PNG of one bit a pixel, which people can look at.

It is packed and unpacked strip by strip, as image libraries spend several bytes a pixel on the way.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cluster.storage import Store
from preprocessing.tissue_rules.strips import strips

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEADER: Final = struct.Struct(">IIBBBBB")
_ONE_BIT_GRAY: Final = (1, 0, 0, 0, 0)  # bits, gray, deflate, filters of the standard, rows in their order


def write_mask(mask: NDArray[np.bool_], store: Store, name: str) -> None:
    """Write an (h, w) bool mask, set pixels white, below a folder. Memory: strips, and the file."""
    packer = zlib.compressobj(9)
    packed = []
    for rows, _ in strips(mask.shape):
        bits = np.packbits(mask[rows], axis=1)
        packed.append(packer.compress(np.pad(bits, ((0, 0), (1, 0))).tobytes()))  # 0, no filter, leads each row
    packed.append(packer.flush())
    header = _HEADER.pack(mask.shape[1], mask.shape[0], *_ONE_BIT_GRAY)
    chunks = [_chunk(b"IHDR", header), _chunk(b"IDAT", b"".join(packed)), _chunk(b"IEND", b"")]
    store.write_bytes(_SIGNATURE + b"".join(chunks), name)


def read_mask(store: Store, name: str) -> NDArray[np.bool_]:
    """Read back what `write_mask` wrote: (h, w) bool. Memory: the mask, strips, and the file.

    Raises:
        ValueError: it is no such file.
    """
    try:
        return _unpacked(store.read_bytes(name))
    except (ValueError, KeyError, struct.error, zlib.error) as error:
        raise ValueError(f"{name} is not a mask as it was written ({error}); run the job again") from error


def _unpacked(content: bytes) -> NDArray[np.bool_]:
    if not content.startswith(_SIGNATURE):
        raise ValueError("it is no PNG")
    chunks = dict(_chunks(content))
    width, height, *kind = _HEADER.unpack(chunks[b"IHDR"])
    if tuple(kind) != _ONE_BIT_GRAY:
        raise ValueError("it has not one bit a pixel")
    mask = np.empty((height, width), np.bool_)
    unpacker = zlib.decompressobj()
    rest = chunks[b"IDAT"]
    row_bytes = 1 + -(-width // 8)
    for rows, _ in strips(mask.shape):
        count = rows.stop - rows.start
        packed = unpacker.decompress(rest, count * row_bytes)
        rest = unpacker.unconsumed_tail
        bits = np.frombuffer(packed, np.uint8).reshape(count, row_bytes)
        if bits[:, 0].any():
            raise ValueError("its rows are filtered")
        mask[rows] = np.unpackbits(bits[:, 1:], axis=1, count=width).view(np.bool_)
    return mask


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Length, kind, content and checksum: what a PNG is made of."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each."""
    place = len(_SIGNATURE)
    while place < len(content):
        (length,) = struct.unpack_from(">I", content, place)
        yield content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        place += length + 12
