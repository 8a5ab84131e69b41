"""What a published data set comes to: rows of a manifest, and what a person should know of it."""

import io
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from cluster.errors import UsageError
from cluster.storage import Store
from preprocessing.file_states import absolute
from preprocessing.manifest import COLUMNS


@dataclass(frozen=True)
class Folder:
    """The files of a data set.

    Attributes:
        store: its folder.
        names: of all files below it, relative, sorted. About 150 bytes a file, on the driver.
    """

    store: Store
    names: tuple[str, ...]

    @classmethod
    def of(cls, uri: str) -> "Folder":
        """List a folder once.

        Raises:
            UsageError: nothing is there.
        """
        store = Store(absolute(uri))
        names = tuple(posixpath.relpath(path, store.root) for path in store.files())
        if not names:
            raise UsageError(f"no files in {uri}: give the folder into which the data set was unpacked")
        return cls(store, names)

    def uri(self, name: str) -> str:
        """Where a file lies."""
        return f"{self.store.uri}/{name}"

    def named(self, name: str) -> str | None:
        """The file with this last name, in any folder and any case; of several the first."""
        return next((path for path in self.names if posixpath.basename(path).lower() == name.lower()), None)

    def table(self, name: str) -> Iterator[list[str]]:
        """The cells of a CSV file without a header, line by line, spaces around them cut off; empty lines are left out.

        Raises:
            UsageError: it cannot be read.
        """
        try:
            told = pd.read_csv(io.BytesIO(self.store.read_bytes(name)), header=None, dtype=str, keep_default_na=False)
        except pd.errors.EmptyDataError:
            return
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{self.uri(name)} cannot be read ({reason}): fetch it anew") from error
        yield from ([str(cell).strip() for cell in row] for row in told.itertuples(index=False, name=None))


@dataclass(frozen=True)
class Listing:
    """A data set as a manifest.

    Attributes:
        rows: one a slide, keys of `manifest.COLUMNS`.
        notes: what was left out or is missing, and why; a line each.
    """

    rows: Sequence[Mapping[str, object]]
    notes: tuple[str, ...] = ()

    def csv(self) -> bytes:
        """The manifest as a file, sorted by slide, with the columns that anything is known of."""
        table = pd.DataFrame(list(self.rows), columns=list(COLUMNS)).sort_values("slide_id")
        return table.dropna(axis=1, how="all").to_csv(index=False).encode()


def some(names: Sequence[str]) -> str:
    """Names for a person: all of a few, the first ones of many."""
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:5])} and {len(names) - 5} more"
