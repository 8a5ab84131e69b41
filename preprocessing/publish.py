"""A table whose slides appear and disappear whole: staging, one rename into place, and the clearing of leftovers."""

import glob
import uuid
from dataclasses import dataclass, field

import pandas as pd

from cluster.storage import Store

_STAGING = "_staging"


@dataclass(frozen=True)
class SlideTable:
    """A Parquet table with a folder per slide, `NAME/…/slide_id=I/`.

    Attributes:
        store: the output folder.
        name: `patches` or `predictions`.
        companions: files that a slide has beside the table and that come and go with it, `{}` for its slide_id.
        run: name of this run's staging folder; it never shows in the table.
    """

    store: Store
    name: str
    companions: tuple[str, ...] = ()
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    @property
    def staging(self) -> str:
        """URI below which workers write; outside the table, so that no reader ever meets it."""
        return f"{self.store.uri}/{_STAGING}/{self.run}"

    def published(self) -> dict[str, list[str]]:
        """Folders of every slide in the table, by slide_id: one each, two only after a crash."""
        found: dict[str, list[str]] = {}
        for pattern in ("slide_id=*", "*/slide_id=*"):
            for folder in self.store.folders(f"{self.name}/{pattern}"):
                found.setdefault(folder.rpartition("slide_id=")[2], []).append(folder)
        return found

    def publish(self, folder: str, slide_id: str) -> None:
        """Move a finished slide from staging into the table, in place of what was there.

        Args:
            folder: of the slide, below staging and below the table alike.
            slide_id: name of the slide.
        """
        self.withdraw(slide_id)
        self.store.move(f"{_STAGING}/{self.run}/{folder}", f"{self.name}/{folder}")
        for companion in self.companions:
            name = companion.format(slide_id)
            self.store.move(f"{_STAGING}/{self.run}/{name}", name)

    def withdraw(self, slide_id: str) -> None:
        """Take a slide out of the table, in one step a folder, if it is there."""
        name = glob.escape(slide_id)
        for pattern in (f"slide_id={name}", f"*/slide_id={name}"):
            for old in self.store.folders(f"{self.name}/{pattern}"):
                away = f"{_STAGING}/{self.run}/withdrawn/{uuid.uuid4().hex}"
                self.store.move(old.removeprefix(self.store.root).lstrip("/"), away)
                self.store.remove(away)
        for companion in self.companions:
            self.store.remove(companion.format(slide_id))

    def clear_leftovers(self, last: pd.DataFrame) -> pd.DataFrame:
        """Bring table and ledger together after a run that died: neither shows what the other lacks.

        Args:
            last: the latest ledger row of each slide.

        Returns:
            `last` without the slides whose rows are gone, so that they are done again.
        """
        self.store.remove(_STAGING)
        published = self.published()
        done = set(last.loc[last["status"] == "done", "slide_id"])
        for slide_id, folders in published.items():
            if slide_id not in done or len(folders) > 1:
                self.withdraw(slide_id)
        whole = {slide_id for slide_id, folders in published.items() if len(folders) == 1}
        return last[(last["status"] != "done") | last["slide_id"].isin(whole)]

    def close(self) -> None:
        """Remove this run's staging folder."""
        self.store.remove(_STAGING, self.run)
        if not self.store.files(_STAGING):
            self.store.remove(_STAGING)
