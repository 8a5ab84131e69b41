"""What the stream is measured against has the same rows, or the ratio says nothing."""

from collections import Counter
from pathlib import Path

from benchmarks.patch_table import records
from benchmarks.stream_speed import BATCH, peer
from tests.training.tiny_table import WINDOW, tiny_recipe, write_table
from training.stream import SplitStream
from training.table import open_table


def test_records_hold_the_same_images_and_labels_as_the_table(tmp_path: Path) -> None:
    table = open_table(write_table(tmp_path / "table", tiny_recipe()).uri)
    ours: Counter[tuple[bytes, bytes, int]] = Counter()
    for chunk in SplitStream(table, "train", WINDOW, BATCH).encoded():
        ours.update(zip(chunk["image_0"], chunk["image_1"], chunk["label"].tolist(), strict=True))
    theirs: Counter[tuple[bytes, bytes, int]] = Counter()
    files = records(table, tmp_path)
    for images, labels in peer(files, table.images, decode=False).as_numpy_iterator():
        theirs.update(zip(images["image_0"], images["image_1"], labels[:, 0].astype(int).tolist(), strict=True))
    assert ours == theirs
    assert ours.total() == 93
    decoded, labels = next(peer(files, table.images, decode=True).as_numpy_iterator())
    assert decoded["image_1"].shape == (BATCH, WINDOW, WINDOW, 3)
    assert labels.shape == (BATCH, 1)
