"""The slow, obvious way to tile a slide: the whole level in memory, two nested loops, the written rules.

Shares no code with the project: it reads with OpenSlide, tests points with shapely, and spells out every rule.
"""

import hashlib
import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
import shapely
from PIL import Image


@dataclass
class ReferencePatch:
    x: int  # level-0 pixels
    y: int
    column: int  # scale-0 pixels
    row: int
    label: int
    center_fraction: float
    tissue_fraction: float


def whole_level(path: Path, level: int) -> np.ndarray:
    with openslide.OpenSlide(str(path)) as slide:
        image = slide.read_region((0, 0), level, slide.level_dimensions[level])
    canvas = Image.new("RGBA", image.size, "white")
    canvas.alpha_composite(image)
    return np.asarray(canvas.convert("RGB"))


def downsample(path: Path, level: int) -> float:
    with openslide.OpenSlide(str(path)) as slide:
        return slide.level_downsamples[level]


def annotated_by_mask(mask: Path, level: int) -> np.ndarray:
    with openslide.OpenSlide(str(mask)) as slide:
        image = slide.read_region((0, 0), level, slide.level_dimensions[level])
    pixels = np.asarray(image)
    return (pixels[..., :3].max(axis=-1) > 0) & (pixels[..., 3] > 0)


def annotated_by_xml(xml: Path, slide: Path, level: int) -> np.ndarray:
    """Pixel centers inside a positive polygon and inside no excluded one, one polygon at a time.

    A center exactly on an outline is neither in nor out, so slides with such a center are refused.
    """
    with openslide.OpenSlide(str(slide)) as handle:
        width, height = handle.level_dimensions[level]
        scale = handle.level_downsamples[level]
    inside, excluded = np.zeros((height, width), bool), np.zeros((height, width), bool)
    x, y = np.meshgrid((np.arange(width) + 0.5) * scale, (np.arange(height) + 0.5) * scale)
    for annotation in ET.parse(xml).getroot().iter("Annotation"):
        corners = [(float(c.get("X")), float(c.get("Y"))) for c in annotation.iter("Coordinate")]
        polygon = shapely.Polygon(corners)
        shapely.prepare(polygon)
        hit = shapely.contains_xy(polygon, x.ravel(), y.ravel()).reshape(x.shape)
        touched = shapely.intersects_xy(polygon, x.ravel(), y.ravel()).reshape(x.shape)
        assert np.array_equal(hit, touched), f"{xml} passes through a pixel center: draw another slide"
        if annotation.get("PartOfGroup") in {"Tumor", "_0", "_1", "metastases"}:
            inside |= hit
        else:
            excluded |= hit
    return inside & ~excluded


def is_tissue(image: np.ndarray, max_gray: float) -> np.ndarray:
    """Gray as ITU-R BT.601 in 16-bit fixed point, which is how JPEG and Pillow round it."""
    red, green, blue = (image[..., band].astype(np.int64) for band in range(3))
    gray = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
    return gray <= max_gray * 255


def candidates(path: Path, annotated: np.ndarray | None, tiling: dict) -> list[ReferencePatch]:
    level, window, center = tiling["scales"][0]["level"], tiling["window"], tiling["center"]
    image = whole_level(path, level)
    tissue = is_tissue(image, tiling["tissue"]["max_gray"])
    scale = downsample(path, level)
    margin = (window - center) // 2
    found = []
    for offset in tiling["offset"]:
        for row in range(offset, image.shape[0] - window + 1, tiling["stride"]):
            for column in range(offset, image.shape[1] - window + 1, tiling["stride"]):
                share = tissue[row : row + window, column : column + window].mean()
                middle = (slice(row + margin, row + margin + center), slice(column + margin, column + margin + center))
                tumor = float(annotated[middle].mean()) if annotated is not None else 0.0
                if tumor > 0 or share > tiling["tissue"]["min_fraction"]:
                    where = round(column * scale), round(row * scale), column, row
                    found.append(ReferencePatch(*where, int(tumor > 0), tumor, float(share)))
    return found


def patch_id(slide_id: str, recipe_id: str, x: int, y: int) -> int:
    """SplitMix64 in Python's own integers."""
    text = f"{slide_id}\x1f{recipe_id}".encode()
    key = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1
    modulus = 2**64
    z = ((((x << 32) | y) ^ key) + 0x9E3779B97F4A7C15) % modulus
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % modulus
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % modulus
    z ^= z >> 31
    return z - modulus if z >= modulus // 2 else z


def chosen(found: list[ReferencePatch], slide_id: str, recipe_id: str, sampling: dict) -> list[ReferencePatch]:
    tumors = [patch for patch in found if patch.label == 1]
    by_hash = sorted(found, key=lambda patch: patch_id(slide_id, recipe_id, patch.x, patch.y))
    normals = [patch for patch in by_hash if patch.label == 0]
    ratio, most = sampling["normals_per_tumor"], sampling["from_slides_without_tumor"]
    wanted = math.ceil(len(tumors) * ratio) if tumors else most
    return tumors + normals[:wanted]


def crop(
    image: np.ndarray, patch: ReferencePatch, scale_0: float, scale_k: float, window: int, margin: int = 0
) -> np.ndarray:
    """The window of another scale around the same center, with a margin on all sides; white outside the slide."""
    left = math.floor((patch.column + window / 2) * scale_0 / scale_k) - window // 2 - margin
    top = math.floor((patch.row + window / 2) * scale_0 / scale_k) - window // 2 - margin
    side = window + 2 * margin
    pixels = np.full((side, side, 3), 255, np.uint8)
    for row in range(side):
        for column in range(side):
            if 0 <= top + row < image.shape[0] and 0 <= left + column < image.shape[1]:
                pixels[row, column] = image[top + row, left + column]
    return pixels
