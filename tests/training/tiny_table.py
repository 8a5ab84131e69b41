"""A patch table as the tile job writes it, small enough to read a hundred times."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg

from preprocessing.hashing import patch_ids
from preprocessing.recipe import Recipe
from preprocessing.schema import image_columns, label_folder, patch_schema, slide_folder

WINDOW = 80

SLIDES = {
    ("train", "tumor_01"): {0: 20, 1: 19},
    ("train", "tumor_02"): {0: 13, 1: 23},
    ("train", "normal_01"): {0: 18},
    ("validation", "tumor_03"): {0: 21, 1: 22},
}
Rows = Mapping[int | None, int]


@dataclass
class WrittenTable:
    """A table on disk, with what was written, noted apart from the table itself."""

    uri: str
    recipe: Recipe
    labels: dict[int, int | None] = field(default_factory=dict)
    ids: dict[str, set[int]] = field(default_factory=dict)


def tiny_recipe(**training: object) -> Recipe:
    settings = {"weights": "none", "batch_size": 16, "shuffle_rows": 32, **training}
    return Recipe.model_validate(
        {
            "name": "tiny",
            "seed": 5,
            "tiling": {"scales": [{"level": 1}, {"level": 2}], "window": WINDOW, "center": 50, "stride": 50},
            "training": settings,
            "inference": {"stride": 50},
        }
    )


def patch_image(rng: np.random.Generator, label: int | None) -> np.ndarray:
    """(80, 80, 3) uint8: pink tissue, and dark violet nuclei where there is tumor."""
    image = np.full((WINDOW, WINDOW, 3), (225, 170, 200), np.int16)
    for _ in range(30 if label else 4):
        x, y = rng.integers(0, WINDOW - 8, 2)
        image[y : y + 8, x : x + 8] = (90, 50, 130)
    return np.clip(image + rng.integers(-12, 12, image.shape), 0, 255).astype(np.uint8)


def write_table(
    folder: Path, recipe: Recipe, slides: Mapping[tuple[str, str], Rows] = SLIDES, row_group: int = 8
) -> WrittenTable:
    """Write one Parquet file per slide and class below `folder/patches`."""
    table = WrittenTable(str(folder), recipe)
    rng = np.random.default_rng(0)
    for (split, slide), classes in slides.items():
        start = 0
        for label, rows in classes.items():
            xy = np.stack([np.arange(start, start + rows) * 50, np.zeros(rows)], axis=1).astype(np.int32)
            start += rows
            ids = patch_ids(slide, recipe.recipe_id, xy)
            target = folder / "patches" / slide_folder(split, slide) / label_folder(label)
            target.mkdir(parents=True)
            columns = {
                "patch_id": ids,
                "x": xy[:, 0],
                "y": xy[:, 1],
                "center_fraction": np.full(rows, float(label or 0), np.float32),
                "tissue_fraction": np.ones(rows, np.float32),
                **{
                    name: [simplejpeg.encode_jpeg(patch_image(rng, label), quality=90) for _ in range(rows)]
                    for name in image_columns(len(recipe.tiling.scales))
                },
                "recipe_id": [recipe.recipe_id] * rows,
            }
            written = pa.table(columns, schema=patch_schema(recipe))
            pq.write_table(written, target / "part-0.parquet", row_group_size=row_group, use_dictionary=False)
            table.labels |= dict.fromkeys(ids.tolist(), label)
            table.ids.setdefault(split, set()).update(ids.tolist())
    return table
