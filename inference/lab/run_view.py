"""One run as the lab shows it: what is asked for by the id of a slide, looked up in the ledger."""

import csv
import io
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cluster.errors import UsageError
from cluster.storage import Store
from inference.lab.heat_image import HeatImage, probability_of
from inference.lab.kept import Kept
from inference.lab.not_shown import NotShownError, without_places
from inference.lab.remote_slides import BeingFetchedError, RemoteSlides
from inference.lab.run_files import RunFiles, digest
from inference.lab.slide_image import TILE, SlideImage, open_image
from inference.lab.slide_rows import SlideRow, SlideRows
from inference.run_folder import CARD, find_run, saved_recipe
from inference.slide_files import HEATMAP, LESIONS, PYRAMID
from inference.truth_outline import truth_rings
from preprocessing.errors import SlideError
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.readers.opening import file_state
from preprocessing.readers.staged import is_elsewhere, local_path

REPORT: Final = "report.html"

_OPEN_BYTES: Final = 512 << 20  # of open slides: 8 pyramids, or fewer where flat images are among them
_TILE_BYTES: Final = 64 << 20  # of JPEG tiles, and as much of heat tiles
_OPEN_HEATMAPS: Final = 32
_OUTLINES: Final = 16

Ring = list[list[float]]


class RunView:
    """A run folder; threads may share it.

    Memory: the list of slides (see `SlideRows`), up to 512 MB of open slides, 64 MB of their tiles and 64 MB of heat
    tiles, 32 open heatmaps (16 bytes a tile of theirs), the outlines of 16 annotations, and two open slides of other
    stores. With `slides`, 1 kB for each slide there.

    Args:
        run: URI of the output folder of `infer`, or of one of its models' folders.
        slides: folder, glob or manifest of slides that have moved; None takes them where the ledger says.
        model_id: which model, where the output holds results of several.

    Raises:
        UsageError: no run there, or of several models; no slides there.
    """

    def __init__(self, run: str, slides: str | None = None, model_id: str | None = None) -> None:
        store = Store(find_run(run, model_id))
        self.uri = store.uri
        self.model_id = str(json.loads(store.read_bytes(CARD))["model_id"])
        self.recipe = saved_recipe(store)
        self.files = RunFiles(store)
        self.rows = SlideRows(store, self.files)
        self._moved: Mapping[str, SlideEntry] = {}
        if slides is not None:
            entries = inventory(slides, self.recipe.tiling, self.recipe.seed)
            self._moved = {entry.slide_id: entry for entry in entries}
        self._images: Kept[object, SlideImage] = Kept(_OPEN_BYTES, lambda image: image.weight)
        self._remote = RemoteSlides()
        self._heatmaps: Kept[object, HeatImage] = Kept(_OPEN_HEATMAPS)
        self._tiles: Kept[object, bytes] = Kept(_TILE_BYTES, len)
        self._heat_tiles: Kept[object, NDArray[np.uint8]] = Kept(_TILE_BYTES, lambda tile: tile.nbytes)
        self._outlines: Kept[object, list[Ring]] = Kept(_OUTLINES)

    def facts(self) -> dict[str, Any]:
        """What the run is."""
        settings = self.recipe.inference
        facts = {"model_id": self.model_id, "recipe": self.recipe.name, "threshold": settings.threshold}
        return facts | {"uri": self.uri, "report": self._has_report(), "slides": len(self.rows.now())}

    def slide(self, slide_id: str) -> dict[str, Any]:
        """All that a viewer has to know of a slide; what cannot be shown is null, and `problems` says why.

        Of a slide that is being fetched it knows only that: it asks again.

        Raises:
            NotShownError: no such slide.
        """
        row = self.rows.now().get(slide_id) or self.rows.get(slide_id)
        facts = row.shown() | {"tile_size": None, "max_level": None, "heat": None, "fetching": False}
        facts |= {"lesions": [], "truth": []}
        problems: dict[str, str | None] = dict.fromkeys(("slide", "heat", "lesions", "truth"))
        version: dict[str, str | None] = dict.fromkeys(("slide", "heat"))
        try:
            image = self.image(slide_id)
            width, height = image.size
            facts |= {"tile_size": TILE, "max_level": image.max_level, "width": width, "height": height}
            version["slide"] = self.slide_version(slide_id)
        except BeingFetchedError as reason:
            problems["slide"], facts["fetching"] = str(reason), True
            return facts | {"problems": problems, "version": version}
        except NotShownError as reason:
            problems["slide"] = str(reason)
        for name, find in (("lesions", self._lesions), ("truth", self._truth), ("heat", self._heat_facts)):
            try:
                facts[name] = find(row)
            except NotShownError as reason:
                problems[name] = str(reason)
        if facts["heat"] is not None:
            version["heat"] = self.heat_version(slide_id)
        return facts | {"problems": problems, "version": version}

    def slide_version(self, slide_id: str) -> str:
        """Changes with the file of a slide; raises as `image` where there is none."""
        return digest(self._slide_state(slide_id))

    def heat_version(self, slide_id: str) -> str:
        """Changes with the heatmap of a slide; raises as `heat` where there is none."""
        return self.files.version(self._heat_name(self.rows.get(slide_id), PYRAMID))

    def image(self, slide_id: str) -> SlideImage:
        """The slide, open.

        Raises:
            BeingFetchedError: it lies on another store and is on its way from there, with its annotation.
            NotShownError: no such slide, or it cannot be shown.
        """
        path = self._path(slide_id)
        if is_elsewhere(path):
            return self._remote.image(path, lambda: self._fetched(slide_id, path))
        return self._images.get(self._slide_state(slide_id), lambda: open_image(path))

    def tile(self, slide_id: str, level: int, column: int, row: int) -> bytes:
        """A deep zoom tile of a slide as JPEG; raises as `image`, and where there is no such tile."""
        key = (self._slide_state(slide_id), level, column, row)
        return self._tiles.get(key, lambda: self.image(slide_id).tile(level, column, row))

    def thumbnail(self, slide_id: str) -> bytes:
        """The slide as a small JPEG; raises as `image`, and where the slide would have to be fetched for it."""
        path = self._path(slide_id)

        def make() -> bytes:
            image = self._remote.opened(path) if is_elsewhere(path) else self.image(slide_id)
            return image.thumbnail()

        return self._tiles.get(self._slide_state(slide_id), make)

    def heat_picture(self, slide_id: str) -> bytes:
        """The heatmap as the picture that reports show, PNG; raises as `heat`."""
        return self.files.read(self._heat_name(self.rows.get(slide_id), HEATMAP))

    def heat(self, slide_id: str) -> HeatImage:
        """The heatmap of a slide, open.

        Raises:
            NotShownError: no such slide, or it has no heatmap that can be shown.
        """
        name = self._heat_name(self.rows.get(slide_id), PYRAMID)
        return self._heatmaps.get((slide_id, self.files.version(name)), lambda: HeatImage(self.files.open(name), name))

    def heat_tile(self, slide_id: str, level: int, column: int, row: int) -> NDArray[np.uint8]:
        """Stored values of a tile of the heatmap; raises as `heat`, and where there is no such tile."""
        key = (slide_id, self.heat_version(slide_id), level, column, row)
        return self._heat_tiles.get(key, lambda: self.heat(slide_id).tile(level, column, row))

    def probability(self, slide_id: str, x: float, y: float) -> float | None:
        """What the heatmap shows at a level-0 pixel; None where nothing was judged. Raises as `heat`."""
        cell = self.heat(slide_id).cell_of(x, y)
        if cell is None:
            return None
        column, row, across, down = cell
        return probability_of(int(self.heat_tile(slide_id, 0, column, row)[down, across]))

    def _path(self, slide_id: str) -> str:
        moved = self._moved.get(slide_id)
        return self.rows.get(slide_id).path if moved is None else moved.path

    def _fetched(self, slide_id: str, path: str) -> SlideImage:
        """A slide of another store, after its annotation, as a mask has to be copied, too."""
        with suppress(NotShownError):  # told when it is asked for
            self._truth(self.rows.get(slide_id))
        return open_image(path)

    def _slide_state(self, slide_id: str) -> object:
        path = self._path(slide_id)
        return path, self._state_of(path)

    def _state_of(self, path: str) -> object:
        """None where a local file is gone; raises NotShownError where one of another store is."""
        return self._remote.state(path) if is_elsewhere(path) else file_state(path)

    def _has_report(self) -> bool:
        try:
            self.files.version(REPORT)
        except NotShownError:
            return False
        return True

    def _heat_name(self, row: SlideRow, name: str) -> str:
        """Only a slide that is done has a heatmap of this run; an older one may lie there of a slide that failed."""
        if row.status != "done":
            raise NotShownError(404, f"{row.slide_id} has no heatmap: {row.error or row.status}")
        return name.format(row.slide_id)

    def _heat_facts(self, row: SlideRow) -> dict[str, Any] | None:
        return self.heat(row.slide_id).facts() if row.status == "done" else None

    def _lesions(self, row: SlideRow) -> list[dict[str, float]]:
        if row.status != "done":
            return []
        name = LESIONS.format(row.slide_id)
        try:
            lines = list(csv.reader(io.StringIO(self.files.read(name).decode())))
            return [{"x": int(x), "y": int(y), "probability": float(score)} for _, x, y, score in lines]
        except ValueError as error:
            raise NotShownError(410, f"{name} of the run is damaged; run histospark infer again") from error

    def _truth(self, row: SlideRow) -> list[Ring]:
        """Outlines of the annotation beside the slide, in tenths of a pixel."""
        try:
            entry = self._moved.get(row.slide_id) or self._beside(row)
            states = (file_state(file) for file in (entry.annotation, entry.mask) if file)
            return self._outlines.get((entry, *states), lambda: self._rings(entry))
        except (SlideError, UsageError) as error:
            raise NotShownError(410, without_places(str(error), self._path(row.slide_id))) from error

    def _beside(self, row: SlideRow) -> SlideEntry:
        """The slide with the annotation that stands beside it, found as the jobs find it."""
        path = row.path if is_elsewhere(row.path) else local_path(row.path)
        if self._state_of(path) is None:
            return SlideEntry(row.slide_id, path)
        tiling = self.recipe.tiling
        return replace(inventory(path, tiling, self.recipe.seed)[0], slide_id=row.slide_id)

    def _rings(self, entry: SlideEntry) -> list[Ring]:
        return [np.round(ring, 1).tolist() for ring in truth_rings(entry, self.recipe)]
