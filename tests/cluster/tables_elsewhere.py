"""Files of a store brought to a disk, to be compared there."""

from pathlib import Path

from cluster.storage import Store


def fetched(store: Store, folder: Path) -> Path:
    """Copy all that a store holds below its root."""
    for path in store.files():
        target = folder / path.removeprefix(store.root).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(store.fs.cat_file(path))
    return folder


def stored(folder: Path, store: Store) -> Store:
    """Copy all files of a folder into a store."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            store.write_bytes(path.read_bytes(), str(path.relative_to(folder)))
    return store
