"""From the predictions of one slide to its heatmap, lesions and score; one Spark task a slide."""

import csv
import io
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cluster.storage import Store
from inference.heatmap import heatmap_png
from inference.lesions import Lesion, find_lesions
from inference.predict import PREDICTION_SCHEMA
from inference.probability_map import probability_map
from inference.scores import slide_score
from inference.truth_outline import truth_outlines
from preprocessing.readers.opening import open_slide
from preprocessing.readers.thumbnail import slide_picture
from preprocessing.recipe import Recipe
from preprocessing.shard_file import write_shard
from preprocessing.slide_plan import SlidePlan

# What a slide has beside its predictions; `{}` is its slide_id.
HEATMAP: Final = "heatmaps/{}.png"
PYRAMID: Final = "heatmaps/{}.tif"
POLYGONS: Final = "heatmaps/{}.geojson"
SCORE: Final = "slide_scores/{}.parquet"
LESIONS: Final = "lesions/{}.csv"
COMPANIONS: Final = (HEATMAP, PYRAMID, POLYGONS, SCORE, LESIONS)
LESION_COLUMNS: Final = ("slide_id", "x", "y", "probability")

_THUMBNAIL = 1200  # longer side, pixels


def assemble(plan: SlidePlan, recipe: Recipe, model_id: str, engine: str, staging: str) -> None:
    """Write heatmap, score and lesions of a slide below the staging folder.

    Memory: the slide's predictions (20 bytes each), a thumbnail, and the figure.

    Args:
        plan: the slide, whose predictions lie in `staging`.
        recipe: from `prediction_recipe`.
        model_id: of the model.
        engine: what computed, for the slide's score.
        staging: URI.
    """
    store, entry, facts = Store(staging), plan.entry, plan.facts
    xy, probability = read_predictions(store, f"slide_id={entry.slide_id}")
    settings = recipe.inference
    with open_slide(entry.path, plan.choice) as slide:
        thumbnail = slide_picture(slide, _THUMBNAIL)
    heatmap = probability_map(xy, probability, recipe.tiling, plan.scales[0].downsample)
    lesions = find_lesions(heatmap, settings.threshold, settings.lesion_radius)
    score = slide_score(entry.slide_id, heatmap, len(lesions), settings.threshold, facts.mpp, model_id, engine)
    title = f"{entry.slide_id}\nscore {score.score:.3f}, lesions {len(lesions)}, model {model_id}"
    size = (facts.info.width, facts.info.height)
    truth = truth_outlines(entry, recipe.tiling.labels)
    picture = heatmap_png(title, thumbnail, size, heatmap, truth, lesions)
    store.write_bytes(picture, HEATMAP.format(entry.slide_id))
    scores = score.table()
    write_shard([scores], scores.schema, store, SCORE.format(entry.slide_id))
    store.write_bytes(lesions_csv(entry.slide_id, lesions), LESIONS.format(entry.slide_id))


def read_predictions(store: Store, folder: str) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Read a slide's predictions: (n, 2) int32 level-0 corners and (n,) float32 probabilities."""
    corners, probabilities = [], []
    for path in store.files(folder):
        with store.fs.open(path, "rb") as file:
            table = pq.read_table(file, columns=PREDICTION_SCHEMA.names[:3])
        corners.append(np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=1))
        probabilities.append(table["probability"].to_numpy())
    return np.concatenate(corners), np.concatenate(probabilities)


def lesions_csv(slide_id: str, lesions: Sequence[Lesion]) -> bytes:
    """The lesions of a slide as CSV without a head, one line each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows((slide_id, lesion.x, lesion.y, f"{lesion.probability:.6f}") for lesion in lesions)
    return text.getvalue().encode()
