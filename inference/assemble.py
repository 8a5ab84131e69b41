"""From the predictions of one slide to its heatmap, polygons, lesions and score; one Spark task a slide."""

import csv
import io
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cluster.storage import Store
from inference.heatmaps.cells import CellMap
from inference.heatmaps.clusters import find_clusters
from inference.heatmaps.filling import opened_cells
from inference.heatmaps.lesions import Lesion, find_lesions
from inference.heatmaps.overlay import heatmap_png
from inference.heatmaps.polygons import write_polygons
from inference.heatmaps.pyramid import PyramidLayout, write_pyramid
from inference.scores import SlideScore, slide_score
from inference.slide_files import HEATMAP, LESIONS, POLYGONS, PYRAMID, SCORE
from inference.truth_outline import truth_rings
from preprocessing.inference_settings import Clusters, Inference
from preprocessing.readers.opening import open_slide
from preprocessing.readers.thumbnail import slide_picture
from preprocessing.recipe import Recipe
from preprocessing.shard_file import WRITING, output_error, write_shard
from preprocessing.slide_plan import SlidePlan

_THUMBNAIL = 1200  # longer side, pixels


def assemble(plan: SlidePlan, recipe: Recipe, model_id: str, engine: str, staging: str) -> None:
    """Write heatmap, polygons, score and lesions of a slide below the staging folder.

    Memory: the same for slides of any size, but for the lesions and polygons themselves: some tiles of cells, a part of
    a shard, a thumbnail, and the figure. What else there is lies in the machine's temporary folder: 8 bytes a cell, the
    TIFF and the polygons.

    Args:
        plan: the slide, whose predictions lie in `staging`.
        recipe: from `prediction_recipe`.
        model_id: of the model.
        engine: what computed, for the slide's score.
        staging: URI.

    Raises:
        SlideError: the slide cannot be read, there is no space for the results, or lesions beyond all measure.
    """
    store, slide_id, settings = Store(staging), plan.entry.slide_id, recipe.inference
    folder, finest = f"slide_id={slide_id}", plan.scales[0]
    with opened_cells(store, folder, recipe.tiling, finest, settings.overlap) as cells:
        lesions = found_lesions(cells, settings)
        score = slide_score(slide_id, cells, len(lesions), settings, plan.facts.mpp, model_id, engine)
        _write_picture(plan, recipe, cells, lesions, score, store)
        with _written(store, PYRAMID.format(slide_id)) as path:
            says = {"slide_id": slide_id, "model_id": model_id, "threshold": settings.threshold}
            layout = PyramidLayout.of(cells.grid.step, plan.facts.info.width, plan.facts.info.height)
            write_pyramid(path, cells, layout, plan.facts.mpp, says)
        with _written(store, POLYGONS.format(slide_id)) as path:
            write_polygons(path, cells, settings.threshold, plan.facts.mpp)
    row = score.table()
    write_shard([row], row.schema, store, SCORE.format(slide_id))
    with _written(store, LESIONS.format(slide_id)) as path:
        path.write_bytes(lesions_csv(slide_id, lesions))


def found_lesions(cells: CellMap, settings: Inference) -> list[Lesion]:
    """The lesions of a slide, as the recipe has them; see `find_lesions` and `find_clusters`."""
    if isinstance(settings.lesions, Clusters):
        return find_clusters(cells, settings.threshold, settings.lesion_radius, settings.lesions)
    return find_lesions(cells, settings.threshold, settings.lesion_radius)


def read_predictions(store: Store, folder: str) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Read a slide's predictions: (n, 2) int32 level-0 corners and (n,) float32 probabilities."""
    corners, probabilities = [], []
    for path in store.files(folder):
        with store.fs.open(path, "rb") as file:
            table = pq.read_table(file, columns=["x", "y", "probability"])
        corners.append(np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=1))
        probabilities.append(table["probability"].to_numpy())
    return np.concatenate(corners), np.concatenate(probabilities)


def lesions_csv(slide_id: str, lesions: Sequence[Lesion]) -> bytes:
    """The lesions of a slide as CSV without a head, one line each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows((slide_id, lesion.x, lesion.y, f"{lesion.probability:.6f}") for lesion in lesions)
    return text.getvalue().encode()


def _write_picture(
    plan: SlidePlan, recipe: Recipe, cells: CellMap, lesions: Sequence[Lesion], score: SlideScore, store: Store
) -> None:
    info = plan.facts.info
    with open_slide(plan.entry.path, plan.choice) as slide:
        thumbnail = slide_picture(slide, _THUMBNAIL)
    truth = truth_rings(plan.entry, recipe)
    title = f"{score.slide_id}\nscore {score.score:.3f}, lesions {score.lesions}, model {score.model_id}"
    size, shown = (info.width, info.height), shown_by(recipe)
    picture = heatmap_png(title, thumbnail, size, cells, truth, lesions, plan.facts.mpp, shown)
    with _written(store, HEATMAP.format(score.slide_id)) as path:
        path.write_bytes(picture)


def shown_by(recipe: Recipe) -> str:
    """What the number of a window is, for people; see `Engine`."""
    first, *others = recipe.classes
    if recipe.tiling.labels.ordered:
        return f"expected grade, 0 {first}, 1 {others[-1]}"
    return f"probability of {others[0]}" if len(others) == 1 else f"probability of any but {first}"


@contextmanager
def _written(store: Store, name: str) -> Iterator[Path]:
    """A local file to write, which then gets its place in the store: whole, or not there. Memory: a small buffer.

    Raises:
        OutputFullError: no space left.
        OutputError: the output cannot be written for another reason.
    """
    temporary = f"{WRITING}/{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory(prefix="histospark-") as folder:
        local = Path(folder) / Path(name).name
        yield local
        try:
            with local.open("rb") as source, store.new_file(name, temporary) as target:
                shutil.copyfileobj(source, target)
        except OSError as error:
            raise output_error(error, store.uri) from error
