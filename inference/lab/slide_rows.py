"""The slides of a run as the lab lists them: the ledger, and beside it the slide scores."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cluster.storage import Store
from inference.lab.not_shown import NotShownError, without_places
from inference.lab.run_files import RunFiles
from inference.slide_files import SCORE
from preprocessing import ledger

_READERS: Final = 8  # threads; the files are small and may be far away
_NO_SCORE: Final = dict.fromkeys(("score", "lesions", "tissue_area_mm2", "positive_area_mm2"))


@dataclass(frozen=True, slots=True)
class SlideRow:
    """One slide of the list; None where it is not known.

    Attributes:
        slide_id: unique.
        path: of the slide file by the ledger; never told to a browser.
        status: done, failed or empty.
        error: why it failed, is empty, or has no score; without places of this machine.
        score, lesions, tissue_area_mm2, positive_area_mm2: of the slide score.
        width, height: level-0 pixels.
        mpp: micrometers per level-0 pixel.
        patches: windows judged.
        processed_at: ISO 8601.
    """

    slide_id: str
    path: str
    status: str
    error: str | None
    score: float | None
    lesions: int | None
    tissue_area_mm2: float | None
    positive_area_mm2: float | None
    width: int | None
    height: int | None
    mpp: float | None
    patches: int | None
    processed_at: str | None

    def shown(self) -> dict[str, Any]:
        """What a browser learns of it."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "path"}


class SlideRows:
    """The slides of a run by id; read anew when the ledger has changed, scores only of slides that were done anew.

    Memory: about 1 kB a slide, and 3 kB a slide and attempt while the ledger is read (see `ledger.latest`).

    Args:
        store: the run folder.
        files: the same.
    """

    def __init__(self, store: Store, files: RunFiles) -> None:
        self._store, self._files = store, files
        self._state: object = None
        self._rows: dict[str, SlideRow] = {}
        self._lock = Lock()

    def get(self, slide_id: str) -> SlideRow:
        """One slide.

        Raises:
            NotShownError: no such slide in the ledger.
        """
        row = self._rows.get(slide_id) or self.now().get(slide_id)
        if row is None:
            raise NotShownError(404, f"this run has no slide {slide_id[:100]!r}")
        return row

    def now(self) -> dict[str, SlideRow]:
        """All slides by id, in the order of their names; to be read only.

        Raises:
            UsageError: the ledger is damaged.
        """
        with self._lock:
            state = self._ledger_state()
            if state != self._state:
                self._rows = self._read()
                self._state = state
            return self._rows

    def _ledger_state(self) -> object:
        self._store.fs.invalidate_cache()  # remote file systems remember listings
        return self._store.files(ledger.FOLDER)  # its files are only added and removed, never written again

    def _read(self) -> dict[str, SlideRow]:
        frame = ledger.latest(self._store, "infer")
        with ThreadPoolExecutor(_READERS) as pool:
            rows = pool.map(self._row, frame.to_dict("records"))
            return {row.slide_id: row for row in rows}

    def _row(self, line: dict[str, Any]) -> SlideRow:
        slide_id, done_at = str(line["slide_id"]), _time(line["processed_at"])
        known = self._rows.get(slide_id)
        if known is not None and known.processed_at == done_at:
            return known
        error = _known(line["error"])
        found: dict[str, Any] = _NO_SCORE
        if line["status"] == "done":
            try:
                found = self._score(slide_id)
            except NotShownError as reason:
                error = str(reason)
        return SlideRow(
            slide_id=slide_id,
            path=str(line["path"]),
            status=str(line["status"]),
            error=None if error is None else without_places(str(error), str(line["path"])),
            **found,
            width=_whole(line["width"]),
            height=_whole(line["height"]),
            mpp=_known(line["mpp"]),
            patches=_whole(line["patches"]),
            processed_at=done_at,
        )

    def _score(self, slide_id: str) -> dict[str, Any]:
        name = SCORE.format(slide_id)
        try:
            table = pq.read_table(pa.BufferReader(self._files.read(name)), columns=list(_NO_SCORE))
            return {key: _known(value) for key, value in table.to_pylist()[0].items()}
        except (pa.ArrowException, IndexError, KeyError) as error:
            raise NotShownError(410, f"{name} of the run is damaged; run histospark infer again") from error


def listed(rows: Iterable[SlideRow], at_a_time: int = 500) -> Iterable[list[dict[str, Any]]]:
    """What a browser learns of many slides, some at a time."""
    part = []
    for row in rows:
        part.append(row.shown())
        if len(part) == at_a_time:
            yield part
            part = []
    yield part


def _known(value: Any) -> Any:
    """None for what pandas or Arrow hold as missing; NaN is no JSON."""
    return None if pd.isna(value) else value


def _whole(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)


def _time(value: Any) -> str | None:
    return None if pd.isna(value) else pd.Timestamp(value).isoformat()
