"""A small CAMELYON16, drawn: slides, annotations and the reference of the test in the published folders."""

from pathlib import Path
from typing import Final

from histospark.drawing.parallel import in_parallel
from histospark.drawing.slides import draw_slide
from preprocessing.hashing import stable_hash

_SLIDES: Final = {
    "training/normal": ("normal_001", "normal_002", "normal_003"),
    "training/tumor": ("tumor_001", "tumor_002", "tumor_003"),
    "testing/images": ("test_001", "test_002", "test_003"),
}
_TEST_TUMORS: Final = ("test_001", "test_003")


def draw_camelyon16(folder: Path, seed: int, side: int = 3072) -> None:
    """Draw the data set; the same arguments give the same bytes.

    Args:
        folder: gets `training/{normal,tumor,lesion_annotations}`, `testing/{images,lesion_annotations,reference.csv}`.
        seed: source of all chance.
        side: width and height of a slide, level-0 pixels.
    """
    places = [(folder / place, name) for place, names in _SLIDES.items() for name in names]
    in_parallel([(_draw, (place, name, stable_hash(name, seed), side, 3 * _has_tumor(name))) for place, name in places])
    tests = _SLIDES["testing/images"]
    lines = [f"{name},{'Tumor,IDC,Macro' if name in _TEST_TUMORS else 'Normal,None,None'}" for name in tests]
    (folder / "testing" / "reference.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _has_tumor(name: str) -> bool:
    return name.startswith("tumor") or name in _TEST_TUMORS


def _draw(place: Path, name: str, seed: int, side: int, lesions: int) -> None:
    slide = draw_slide(place, name, seed, side, lesions)
    annotation = place / f"{name}.xml"
    if lesions:
        kept = slide.path.parents[1] / "lesion_annotations" / annotation.name
        kept.parent.mkdir(exist_ok=True)
        annotation.replace(kept)
        (place / f"{name}_mask.tif").unlink()  # the data set has masks of the test set alone
