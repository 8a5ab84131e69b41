"""A table whose slides appear and disappear whole: staging, one step into place, and the clearing of leftovers.

That step is a rename; on stores without one it is the slide's manifest, see `published_files`.
"""

import posixpath
import uuid
from dataclasses import dataclass, field

import pandas as pd

from cluster.lock import confirm_lock, holds_lock
from cluster.storage import TEMPORARY, Store
from preprocessing.inventory import SPLITS
from preprocessing.published_files import (
    begin_manifests,
    published_folders,
    remove_manifest,
    staged_sizes,
    write_manifest,
)
from preprocessing.schema import slide_folder
from preprocessing.shard_file import STAGING, WRITING


@dataclass(frozen=True)
class SlideTable:
    """A Parquet table with a folder per slide, `NAME/…/slide_id=I/`; changed only by the run that holds the lock.

    Between the first step of a publication and its row in the ledger the slide has a mark. A run that finds the mark
    of a dead one cannot know which of the steps were done, takes the slide out and does it again.

    Attributes:
        store: the output folder.
        name: `patches` or `predictions`.
        companions: files that a slide may have beside the table and that come and go with it, `{}` for its slide_id.
        run: name of this run's staging folder and lock; it never shows in the table.
    """

    store: Store
    name: str
    companions: tuple[str, ...] = ()
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    @property
    def staging(self) -> str:
        """URI below which workers write; outside the table, so that no reader ever meets it."""
        return f"{self.store.uri}/{self._staged()}"

    def published(self) -> dict[str, list[str]]:
        """Folders of every slide in the table, by slide_id: one each, two only after a crash."""
        found: dict[str, list[str]] = {}
        for folder in published_folders(self.store, self.name):
            found.setdefault(folder.rpartition("slide_id=")[2], []).append(f"{self.name}/{folder}")
        return found

    def publish(self, folder: str, slide_id: str) -> None:
        """Bring a finished slide from staging into the table, in place of what was there; the table comes last.

        Args:
            folder: of the slide, below staging and below the table alike.
            slide_id: name of the slide.

        Raises:
            JobError: another run has the lock.
        """
        confirm_lock(self.store, self.run)
        self.store.make_folder(self._marks)
        self.store.fs.touch(self.store.path(self._marks, slide_id))
        self.withdraw(slide_id)
        for companion in self.companions:
            name = companion.format(slide_id)
            if self.store.exists(self._staged(name)):
                self.store.move(self._staged(name), name)
        target = posixpath.join(self.name, folder)
        sizes = {} if self.store.renames else staged_sizes(self.store, self._staged(folder))
        self.store.move(self._staged(folder), target)
        self.store.sync(posixpath.dirname(target))
        if not self.store.renames:
            write_manifest(self.store, self.name, folder, sizes)

    def settle(self) -> None:
        """The ledger knows what was published so far: take the marks away."""
        self.store.remove(self._marks)

    def withdraw(self, slide_id: str) -> None:
        """Take a slide out of the table, in one step a folder (or its manifest), if it is there.

        Raises:
            JobError: another run has the lock.
        """
        confirm_lock(self.store, self.run)
        for old in self._folders_of(slide_id, self.name):
            if not self.store.renames:
                remove_manifest(self.store, self.name, old.removeprefix(f"{self.name}/"))
                self.store.remove(old)
                continue
            away = self._staged("withdrawn", uuid.uuid4().hex)
            self.store.move(old, away)
            self.store.remove(away)
        for companion in self.companions:
            self.store.remove(companion.format(slide_id))

    def discard(self, slide_id: str) -> None:
        """Remove what a slide has left in staging: a disk that it filled has room again for the others."""
        for folder in self._folders_of(slide_id, self._staged()):
            self.store.remove(folder)
        for companion in self.companions:
            self.store.remove(self._staged(companion.format(slide_id)))

    def clear_leftovers(self, last: pd.DataFrame) -> pd.DataFrame:
        """Bring table and ledger together after a run that died: neither shows what the other lacks.

        Leaves a fresh staging folder. Workers never make it: those of a dead run, for as long as they live, find no
        place to write.

        Args:
            last: the latest ledger row of each slide.

        Returns:
            `last` without the slides whose rows are gone, so that they are done again.

        Raises:
            JobError: another run has the lock.
        """
        begin_manifests(self.store, self.name)
        marked = {path.rpartition("/")[2] for path in self.store.files(self._marks)}
        published = self.published()
        done = set(last.loc[last["status"] == "done", "slide_id"])
        whole = {slide_id for slide_id, folders in published.items() if len(folders) == 1} & done - marked
        for slide_id in sorted((published.keys() | marked | done) - whole):
            self.withdraw(slide_id)
        self.settle()
        self.store.remove(STAGING)
        for temporary in self._temporaries():
            self.store.remove(temporary)
        self.store.make_folder(self._staged(WRITING))
        return last[(last["status"] != "done") | last["slide_id"].isin(whole)]

    def close(self) -> None:
        """Remove the staging folder: that of every run, as the one that holds the lock lives alone."""
        self.store.remove(STAGING if holds_lock(self.store, self.run) else self._staged())

    def _temporaries(self) -> list[str]:
        """What was being written when a job died; below the output's folders only where files show before that."""
        if not self.store.renames:
            return [name for name in self.store.names() if name.startswith(TEMPORARY)]
        found = [path for pattern in (f"{TEMPORARY}*", f"*/{TEMPORARY}*") for path in self.store.folders(pattern)]
        return [path.removeprefix(self.store.root).lstrip("/") for path in found]

    @property
    def _marks(self) -> str:
        return f"_publishing-{self.name}"

    def _staged(self, *parts: str) -> str:
        return posixpath.join(STAGING, self.run, *parts)

    def _folders_of(self, slide_id: str, parent: str) -> list[str]:
        """Asks for the few places where a slide can be: a listing would grow with the table."""
        places = [f"{parent}/{slide_folder(split, slide_id)}" for split in SPLITS]
        return [place for place in (f"{parent}/slide_id={slide_id}", *places) if self.store.exists(place)]
