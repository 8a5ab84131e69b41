"""Runs for the tests of the lab, and the lab itself served as a person would meet it."""

import io
import json
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile
import uvicorn
from numpy.typing import NDArray
from starlette.types import ASGIApp

from cluster.storage import Store
from inference.lab.app import lab_app
from inference.lab.run_view import RunView
from inference.run_folder import CARD
from inference.scores import SCORE_SCHEMA
from inference.slide_files import SCORE
from preprocessing import ledger
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import save_recipe
from preprocessing.slide_entry import SlideEntry
from tests.inference.conftest import Run
from tests.inference.tables import predictions_of

TILE = 256
PATIENCE = 30.0  # seconds for the server to start


@dataclass(frozen=True)
class MadeRun:
    """A run folder that a test may read; `GOOD` slides are done, `glass_01` is empty, `bad` failed.

    Attributes:
        out: the run folder.
        slides: the folder of its slides, annotations beside them.
        recipe: of the run.
    """

    out: Path
    slides: Path
    recipe: Recipe

    def slide(self, slide_id: str) -> Path:
        """File of a slide."""
        return self.slides / f"{slide_id}.tif"

    def heat(self, slide_id: str) -> Path:
        """File of a slide's heatmap."""
        return self.out / "heatmaps" / f"{slide_id}.tif"

    def predictions(self, slide_id: str) -> pd.DataFrame:
        """Columns x, y, probability."""
        return predictions_of(self.out, slide_id)

    def copied_to(self, folder: Path) -> "MadeRun":
        """The same with a run folder of its own, to be changed by a test; the slides are shared."""
        shutil.copytree(self.out, folder / "out", symlinks=True)
        return MadeRun(folder / "out", self.slides, self.recipe)


def made_run(finished: Run, folder: Path) -> MadeRun:
    """A copy of the run that the tests of inference share."""
    shutil.copytree(finished.out, folder / "out")
    return MadeRun(folder / "out", finished.slides, finished.recipe)


def write_pyramid(path: Path, finest: NDArray[np.uint8], says: dict[str, object]) -> None:
    """Write a pyramid of maxima.

    Args:
        path: of the TIFF.
        finest: (h, w) values of its first level.
        says: what its description holds beside what all heatmaps say.
    """
    levels = [finest]
    while max(levels[-1].shape) > TILE:
        height, width = levels[-1].shape
        padded = np.pad(levels[-1], ((0, height % 2), (0, width % 2)))
        levels.append(padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2).max(axis=(1, 3)))
    common = {"histospark": "heatmap", "levels": len(levels), "value": "0 not judged, else (value - 1) / 254"}
    with tifffile.TiffWriter(path) as file:
        for number, level in enumerate(levels):
            file.write(
                level,
                tile=(TILE, TILE),
                compression="zlib",
                photometric="minisblack",
                metadata=None,
                subfiletype=int(number > 0),
                description=json.dumps(common | says) if number == 0 else None,
            )


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve an app on a free port of this machine; yields the link to its start."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", server_header=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + PATIENCE
    while not server.started:
        if time.monotonic() > until or not thread.is_alive():
            raise RuntimeError("the server of the test did not start")
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


def bare_run(folder: Path, recipe: Recipe, slides: Mapping[str, str], scores: Mapping[str, float]) -> Path:
    """A run folder without predictions or heatmaps, whatever its slides are called.

    Args:
        folder: to be made.
        recipe: of the run.
        slides: path of each slide by its id.
        scores: of those that are done; the others failed.
    """
    store = Store(str(folder))
    store.write_bytes(json.dumps({"model_id": "m0del"}).encode(), CARD)
    save_recipe(recipe, str(folder))
    note_slides(folder, slides, scores)
    return folder


def note_slides(folder: Path, slides: Mapping[str, str], scores: Mapping[str, float]) -> None:
    """Add a wave of slides to a run folder; arguments as of `bare_run`."""
    store, outcomes = Store(str(folder)), []
    for slide_id, path in slides.items():
        entry = SlideEntry(slide_id, path)
        if slide_id in scores:
            outcomes.append(ledger.Outcome(entry, "done", patches=1))
            row = {"slide_id": slide_id, "score": scores[slide_id], "lesions": 0, "model_id": "m0del", "engine": "none"}
            buffer = io.BytesIO()
            pq.write_table(pa.Table.from_pylist([row], SCORE_SCHEMA), buffer)
            name = SCORE.format(slide_id)
            if not {"/", "\\", "\0"} & set(slide_id):  # such ids only a forged ledger has
                store.write_bytes(buffer.getvalue(), name)
        else:
            outcomes.append(
                ledger.Outcome(entry, "failed", error_type="SlideOpenError", error=f"{path} does not exist")
            )
    ledger.append(store, "infer", outcomes, "r-m0del", ledger.latest(store, "infer"))


@contextmanager
def lab_over(run: Path | str, slides: Path | None = None, token: str | None = None) -> Iterator[httpx.Client]:
    """The lab of a run, served; yields a client of it that has not asked yet."""
    view = RunView(str(run), None if slides is None else str(slides))
    with served(lab_app(view, token)) as url, httpx.Client(base_url=url) as client:
        yield client
