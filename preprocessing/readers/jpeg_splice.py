"""Tiles of a TIFF as JPEG files of their own: shared tables and the color transform are put back in.

A TIFF with JPEG tiles keeps the tables of all tiles in one tag (JPEGTables), and says in another
(PhotometricInterpretation) whether the three components are RGB or YCbCr. A tile by itself says neither. An Adobe APP14
marker says the color transform in a way that every decoder follows. TIFF Technical Note 2; JPEG markers: ITU-T T.81.
"""

from preprocessing.errors import SlideReadError

START, END = b"\xff\xd8", b"\xff\xd9"
# Marker, length 14, "Adobe", version 100, two words of flags; the color transform follows as the last byte.
_APP14 = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
_NO_TRANSFORM, _YCBCR = b"\x00", b"\x01"


def stand_alone_head(tables: bytes, rgb: bool) -> bytes:
    """What comes before the body of each tile of a level, the start marker included.

    Args:
        tables: the tag JPEGTables; empty where each tile has its own tables.
        rgb: whether the components are RGB; else YCbCr.

    Returns:
        Start marker, APP14, tables; the start marker alone where tiles are in YCbCr and have tables of their own, since
        then they are files of their own already.

    Raises:
        SlideReadError: the tables are damaged.
    """
    if tables and not (tables.startswith(START) and tables.endswith(END)):
        raise SlideReadError("its JPEG tables are damaged")
    if not tables and not rgb:
        return START
    return START + _APP14 + (_NO_TRANSFORM if rgb else _YCBCR) + tables[2:-2]


def stand_alone(head: bytes, tile: bytes) -> bytes:
    """A tile as a JPEG file of its own: `head` (`stand_alone_head`), then the stored tile behind its start marker."""
    return b"".join((head, memoryview(tile)[2:]))


def frame_marker(width: int, height: int) -> bytes:
    """The bytes with which a baseline JPEG of three 8-bit components says its size."""
    return b"\xff\xc0\x00\x11\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x03"


def is_whole(tile: bytes, frame: bytes) -> bool:
    """Whether a stored tile is plainly a whole baseline JPEG of the expected size (`frame_marker`), ends included.

    Judged by its markers: what lies between them is not decoded.
    """
    return tile.startswith(START) and tile.endswith(END) and tile.find(frame, 0, 2048) > 0
