"""Damaged slides, made from whole ones: bytes flipped, ends cut off, tags that lie. Seeded.

Edits little-endian classic TIFF by its own few lines, so that no reader's idea of the format decides what is damaged.
"""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import tifffile

from histospark.drawing import draw_slide

_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 9: 4, 11: 4, 12: 8, 16: 8}  # bytes of TIFF's types
# What a tag is made to say: width, length, bits, compression, photometric, samples, tile sizes, places, subsampling …
_LIES: Final = {
    256: (0, 1, 7, 8_000, 1_000_000, 2**31 - 1, 2**32 - 1),
    257: (0, 1, 7, 8_000, 1_000_000, 2**31 - 1, 2**32 - 1),
    258: (0, 1, 16, 65_535),
    259: (0, 1, 5, 6, 8, 7, 33_003, 33_005, 65_535),
    262: (0, 1, 3, 6, 65_535),
    277: (0, 1, 4, 65_535),
    284: (0, 2, 65_535),
    322: (0, 1, 16, 17, 512, 1_000_000, 2**31 - 1, 2**32 - 1),
    323: (0, 1, 16, 17, 512, 1_000_000, 2**31 - 1, 2**32 - 1),
    324: (0, 1, 8, 2**31, 2**32 - 1),
    325: (0, 1, 100, 2**31, 2**32 - 1),
    530: (0, 3, 65_535),
}


@dataclass(frozen=True)
class _Entry:
    """One tag of a directory: where its 12 bytes stand, and where its first value."""

    place: int
    tag: int
    kind: int
    count: int
    value: int


def wholes(folder: Path, real: Path | None) -> list[Path]:
    """Small whole slides to start from: drawn, and, where there are real ones, cut from these tile by tile.

    Args:
        folder: to write them to.
        real: folder of the real slides.
    """
    folder.mkdir()
    drawn = [draw_slide(folder, f"drawn_{number}", seed=number, side=512, lesions=1).path for number in range(2)]
    cut = []
    if real is not None:
        cut.append(_cut(real / "wsi" / "CMU-1-Small-Region.svs", folder / "aperio.svs", (2, 4), 2))
        cut.append(_cut(real / "wsi" / "TCGA-CR-7395-01A-01-TS1.svs", folder / "jpeg2000.svs", (6, 6), 2))
        cut.append(_cut(real / "camelyon16" / "tumor_001_level5.tif", folder / "mosaic.tif", (5, 2), 1))
    for path in [*folder.glob("*.xml"), *folder.glob("*_mask.tif")]:
        path.unlink()
    return [*map(Path, drawn), *cut]


def fuzz(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Damage the bytes of a slide in one way, or in two.

    Returns:
        Name of the damage, and the bytes.
    """
    kind, damage = rng.choice(list(_DAMAGES.items()))
    damaged = bytearray(data)
    damage(damaged, rng)
    return kind, bytes(damaged)


def _cut(source: Path, target: Path, first: tuple[int, int], side: int) -> Path:
    """A slide of `side` x `side` tiles of another one, their bytes as they are; `first` is (row, column)."""
    with tifffile.TiffFile(source) as slide:
        page = slide.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        columns = -(-page.imagewidth // page.tilewidth)
        tiles = [(first[0] + row) * columns + first[1] + column for row in range(side) for column in range(side)]
        segments = [_bytes_at(source, page.dataoffsets[tile], page.databytecounts[tile]) for tile in tiles]
        if side == 1:  # one tile four times: a slide of 512 px is not enough of a grid
            segments, side = segments * 4, 2
        tifffile.imwrite(
            target, iter(segments), shape=(side * page.tilelength, side * page.tilewidth, 3), dtype=np.uint8,
            tile=(page.tilelength, page.tilewidth), photometric=page.photometric, compression=page.compression,
            jpegtables=page.jpegtables, description=page.description, metadata=None, byteorder="<",
            subsampling=page.subsampling if page.photometric == 6 else None,
        )  # fmt: skip
    return target


def _bytes_at(path: Path, offset: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(count)


def _directories(data: bytes | bytearray) -> list[tuple[list[_Entry], int]]:
    """Per directory of a whole file: its tags, and where the place of the next one stands."""
    found = []
    (place,) = struct.unpack_from("<I", data, 4)
    while place:
        (count,) = struct.unpack_from("<H", data, place)
        entries = []
        for start in range(place + 2, place + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from("<HHI", data, start)
            inside = _SIZES.get(kind, 1) * values <= 4
            entries.append(_Entry(start, tag, kind, values, start + 8 if inside else _number(data, start + 8)))
        found.append((entries, place + 2 + 12 * count))
        place = _number(data, place + 2 + 12 * count)
    return found


def _number(data: bytes | bytearray, place: int) -> int:
    return int(struct.unpack_from("<I", data, place)[0])


def _put(data: bytearray, entry: _Entry, index: int, value: int) -> None:
    size = _SIZES.get(entry.kind, 1)
    value %= 1 << (8 * size)
    data[entry.value + index * size : entry.value + (index + 1) * size] = value.to_bytes(size, "little")


def _flip_bytes(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 8, 64, 512])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _flip_in_header(data: bytearray, rng: random.Random) -> None:
    entry = rng.choice(rng.choice(_directories(data))[0])
    data[entry.place + rng.randrange(12)] ^= 1 << rng.randrange(8)


def _truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.choice([rng.randrange(16), rng.randrange(len(data)), len(data) - 1 - rng.randrange(200)]) :]


def _lie(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 2])):
        entries = [entry for entries, _next in _directories(data)[:2] for entry in entries if entry.tag in _LIES]
        entry = rng.choice(entries)
        _put(data, entry, rng.randrange(min(entry.count, 16)), rng.choice(_LIES[entry.tag]))


def _make_enormous(data: bytearray, rng: random.Random) -> None:
    """A size that no file holds, all else as it was, or with as many places claimed as that needs."""
    side = rng.choice([8_000, 1_000_000, 2**31 - 1])
    for entry in _directories(data)[0][0]:
        if entry.tag in {256, 257}:
            _put(data, entry, 0, side)
        elif entry.tag in {324, 325} and rng.random() < 0.5:
            struct.pack_into("<I", data, entry.place + 4, rng.choice([0, 1, 2**20, 2**32 - 1]))


def _count_wrongly(data: bytearray, rng: random.Random) -> None:
    entry = rng.choice(rng.choice(_directories(data))[0])
    struct.pack_into("<I", data, entry.place + 4, rng.choice([0, 1, 2**16, 2**30, 2**32 - 1]))


def _damage_tables(data: bytearray, rng: random.Random) -> None:
    tables = [entry for entries, _next in _directories(data) for entry in entries if entry.tag == 347]
    if not tables:
        _flip_bytes(data, rng)
        return
    entry = rng.choice(tables)
    for _ in range(rng.choice([1, 16])):
        data[entry.value + rng.randrange(entry.count)] = rng.randrange(256)


def _loop(data: bytearray, rng: random.Random) -> None:
    """The next directory is an earlier one, itself, or no directory at all."""
    directories = _directories(data)
    _entries, place = rng.choice(directories)
    starts = [entries[0].place - 2 for entries, _next in directories]
    struct.pack_into("<I", data, place, rng.choice([*starts, rng.randrange(len(data)), 2**32 - 1]))


def _damage_pixels(data: bytearray, rng: random.Random) -> None:
    """Bytes of one tile are drawn anew."""
    tags = {entry.tag: entry for entry in _directories(data)[0][0]}
    if 324 not in tags:
        _flip_bytes(data, rng)
        return
    index = rng.randrange(tags[324].count)
    place, count = (_number(data, tags[tag].value + 4 * index) for tag in (324, 325))
    for _ in range(rng.choice([4, 64])):
        data[place + rng.randrange(count)] = rng.randrange(256)


_DAMAGES: Final[dict[str, Callable[[bytearray, random.Random], None]]] = {
    "flipped": _flip_bytes,
    "header": _flip_in_header,
    "truncated": _truncate,
    "lie": _lie,
    "lies": _lie,
    "enormous": _make_enormous,
    "count": _count_wrongly,
    "tables": _damage_tables,
    "loop": _loop,
    "pixels": _damage_pixels,
}
