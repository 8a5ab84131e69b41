"""Decoded tiles, the last used ones and those that are needed later, in one piece of memory of a fixed size.

Why not an array per tile: fresh memory costs a page fault for each 4 kB, which for a tile of 256 px is half as much
time as its decoding. One large piece comes in huge pages where the system has them (64 MB in 3 ms instead of 24), and
is used again and again.
"""

import mmap
import sys
from collections import OrderedDict
from collections.abc import Callable, Container, Hashable
from contextlib import suppress
from threading import Lock

import numpy as np
from numpy.typing import NDArray

Tile = NDArray[np.uint8]
_NO_SLOT = -1
_TRIES = 8
_UNHELD = 2  # references to a tile that nobody else holds: the variable, and the argument of `getrefcount`


class TileCache:
    """Keeps the most recently used tiles, and beside them those that `keep` asks for. Threads may share it.

    A tile that was handed out stays as it is for as long as somebody holds it, or a view of it (which refers to its
    tile, since the memory below is no array).

    Memory: `limit` bytes, touched as tiles come in, and as many of `later_limit` as tiles are kept for later. A tile
    that is held elsewhere keeps all of it alive after `close`.

    Args:
        limit: bytes of the tiles that were used last.
        tile_bytes: bytes of the largest tile; where not even one fits, none is kept.
        later_limit: bytes of the tiles that are kept for later; those that find no room among them go.
    """

    def __init__(self, limit: int, tile_bytes: int, later_limit: int = 0) -> None:
        self._tile_bytes = tile_bytes
        self._memory: mmap.mmap | None = None
        self._most_kept = later_limit // tile_bytes
        self._slots = limit // tile_bytes + self._most_kept
        self._free = list(range(self._slots))[::-1]
        self._tiles: OrderedDict[Hashable, tuple[int, Tile]] = OrderedDict()
        self._kept: dict[Hashable, tuple[int, Tile]] = {}
        self._later: Container[Hashable] = ()
        self._lock = Lock()

    @property
    def held(self) -> int:
        """Bytes of the tiles kept now."""
        with self._lock:
            return sum(tile.nbytes for tiles in (self._tiles, self._kept) for _, tile in tiles.values())

    def get(self, key: Hashable) -> Tile | None:
        """The tile kept under a key, which becomes the most recently used one; None where there is none."""
        with self._lock:
            found = self._tiles.get(key)
            if found is not None:
                self._tiles.move_to_end(key)
                return found[1]
            found = self._kept.get(key)
            return None if found is None else found[1]

    def add(self, key: Hashable, shape: tuple[int, ...], write: Callable[[Tile], None]) -> Tile:
        """A new tile, kept under a key where there is room; the one that was not used for longest goes for it.

        Args:
            key: of the tile.
            shape: of the array, uint8.
            write: fills the array with pixels; what it raises is passed on, and nothing is kept.

        Returns:
            The tile, read-only.
        """
        with self._lock:
            slot = self._take_slot()
        if slot == _NO_SLOT:
            tile = np.empty(shape, np.uint8)
        else:
            tile = np.ndarray(shape, np.uint8, self._memory, slot * self._tile_bytes)
        try:
            write(tile)
        except BaseException:
            with self._lock:
                self._free += [slot] if slot != _NO_SLOT else []
            raise
        tile.flags.writeable = False
        if slot != _NO_SLOT:
            with self._lock:  # another thread may have been faster: then this one is only kept until its slot is needed
                self._tiles[object() if key in self._tiles or key in self._kept else key] = slot, tile
        return tile

    def keep(self, later: Container[Hashable]) -> None:
        """Name tiles that are needed later: what has to go for others is kept until then, while there is room.

        What the call before named is taken to be needed from now on: it stays until the next call. What was kept for
        longer is given up.

        Args:
            later: the keys.
        """
        with self._lock:
            due, self._later = self._later, later
            for key in [key for key in self._kept if key not in due]:
                slot, tile = self._kept.pop(key)
                if sys.getrefcount(tile) <= _UNHELD:
                    self._free.append(slot)
                else:
                    self._kept[key] = slot, tile
            for key in [key for key in self._tiles if key in due][: self._most_kept - len(self._kept)]:
                self._kept[key] = self._tiles.pop(key)

    def close(self) -> None:
        """Forget all tiles and give the memory back; what is added from now on is not kept."""
        with self._lock:
            self._tiles.clear()
            self._kept.clear()
            self._free = []
            self._most_kept = 0
            self._memory = None

    def _take_slot(self) -> int:
        """A place in the memory that no one uses, `_NO_SLOT` where none is found soon."""
        if self._memory is None and self._free:
            self._memory = _large_memory(self._slots * self._tile_bytes)
        if len(self._free) > self._most_kept - len(self._kept):  # the others are set aside for what is kept
            return self._free.pop()
        for _ in range(min(_TRIES, len(self._tiles))):
            key, (slot, tile) = self._tiles.popitem(last=False)
            if len(self._kept) < self._most_kept and key in self._later:
                self._kept[key] = slot, tile
                return self._free.pop()
            if sys.getrefcount(tile) <= _UNHELD:
                return slot
            self._tiles[key] = slot, tile
        return _NO_SLOT


def _large_memory(size: int) -> mmap.mmap:
    """Memory of this process alone, after a fork as well, which is taken from the system once it is written to."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):  # Linux
        with suppress(OSError):  # a kernel without huge pages: small ones will do
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory
