"""A small CBIS-DDSM, drawn: lists of cases, and a DICOM folder for each mammogram and each region, as published."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pydicom
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from scipy.ndimage import gaussian_filter

from histospark.drawing.planes import Plane, Polygon, inside, noise
from histospark.drawing.shapes import blob
from preprocessing.hashing import stable_hash

_CUT_OUT: Final = 16  # pixels that a cut-out has around its region
_FULL: Final = 65535
_MAMMOGRAPHY: Final = "1.2.840.10008.5.1.4.1.1.7"  # secondary capture, as in the collection


@dataclass(frozen=True)
class _Finding:
    """A region of a case: what it is, where, and how it looks."""

    kind: str
    malignant: bool
    outline: Polygon
    brightness: Plane


def draw_cbis_ddsm(folder: Path, seed: int, patients: int = 24, height: int = 1200, width: int = 900) -> None:
    """Draw the collection; the same arguments give the same pixels.

    Kinds and pathologies take turns, so that every four patients have one of each. Of every six patients one is in the
    published lists of the test, and one has two regions.

    Args:
        folder: where lists and folders go; made where it is missing.
        seed: source of all chance.
        patients: each with one mammogram.
        height, width: of a mammogram, pixels; real ones have some 5000 x 3000.
    """
    lines: dict[str, list[dict[str, object]]] = {}
    for number in range(patients):
        rng = np.random.default_rng(stable_hash("mammogram", seed, number))
        kind, malignant = ("mass", "calcification")[number % 2], number // 2 % 2 == 1
        part = "Test" if number % 6 == 5 else "Training"
        case = f"{'Mass' if kind == 'mass' else 'Calc'}-{part}_P_{number:05d}_{('LEFT', 'RIGHT')[number % 3 == 0]}_CC"
        image, findings = _mammogram(rng, kind, malignant, 1 + (number % 6 == 3), height, width)
        _save(folder / case / "full mammogram images", "1-1.dcm", image)
        name = f"{kind[:4]}_case_description_{'test' if part == 'Test' else 'train'}_set.csv"
        for abnormality, finding in enumerate(findings, 1):
            # The two files of a region are swapped in some cases of the collection.
            _save_region(folder / f"{case}_{abnormality}" / "ROI mask images", image, finding, swapped=number % 5 == 0)
            lines.setdefault(name, []).append(_line(case, f"P_{number:05d}", abnormality, finding))
    for name, rows in lines.items():
        pd.DataFrame(rows).to_csv(folder / name, index=False)


def _line(case: str, patient: str, abnormality: int, finding: _Finding) -> dict[str, object]:
    side, view = case.split("_")[-2:]
    return {
        "patient_id": patient,
        "left or right breast": side,
        "image view": view,
        "abnormality id": abnormality,
        "abnormality type": finding.kind,
        "pathology": "MALIGNANT" if finding.malignant else ("BENIGN", "BENIGN_WITHOUT_CALLBACK")[abnormality % 2],
        "image file path": f"{case}/1.3.6.1.4.1.9590/1.3.6.1.4.1.9591/000000.dcm",
        "cropped image file path": f"{case}_{abnormality}/1.3.6.1.4.1.9592/1.3.6.1.4.1.9593/000000.dcm",
        "ROI mask file path": f"{case}_{abnormality}/1.3.6.1.4.1.9592/1.3.6.1.4.1.9593/000001.dcm\n",
    }


def _mammogram(
    rng: np.random.Generator, kind: str, malignant: bool, count: int, height: int, width: int
) -> tuple[NDArray[np.uint16], list[_Finding]]:
    """The film: breast on the left, a label and a scratch beside it."""
    side = max(height, width)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    middle = height * rng.uniform(0.45, 0.55)
    depth = 1 - np.hypot(x / (width * rng.uniform(0.68, 0.78)), (y - middle) / (height * rng.uniform(0.40, 0.46)))
    breast = depth > 0
    density = 0.30 + 0.05 * noise(rng, side, side / 7) + 0.035 * noise(rng, side, side / 30)
    density += 0.02 * noise(rng, side, side / 120)
    plane = np.where(breast, np.clip(density * np.clip(6 * depth, 0.5, 1), 0.12, 0.6), 0.015).astype(np.float32)
    findings: list[_Finding] = []
    while len(findings) < count:
        place = rng.uniform((width * 0.12, height * 0.2), (width * 0.5, height * 0.8))
        inner = depth[int(place[1]), int(place[0])] > 0.25
        if inner and all(np.hypot(*(place - it.outline.mean(0))) > side * 0.2 for it in findings):
            findings.append(_finding(rng, kind, malignant, place, side))
    for finding in findings:
        plane += finding.brightness
    film = Image.fromarray(np.zeros((side, side), np.uint8))
    pen = ImageDraw.Draw(film)
    pen.rectangle((width * 0.86, height * 0.05, width * 0.95, height * 0.09), fill=255)  # the label of side and view
    pen.line((width * 0.9, height * 0.09, width * 0.45, height * 0.3), fill=140, width=3)  # a scratch, to the breast
    plane = np.maximum(plane, np.asarray(film, np.float32) / 255 * 0.95)
    return np.rint(np.clip(plane, 0, 1) * _FULL).astype(np.uint16)[:height, :width], findings


def _finding(rng: np.random.Generator, kind: str, malignant: bool, place: NDArray[np.float64], side: int) -> _Finding:
    """Malignant masses have arms and no sharp edge, malignant calcifications are many and fine; benign ones neither."""
    radius = side * rng.uniform(0.035, 0.05)
    outline = blob(rng, radius, 0.28 if malignant and kind == "mass" else 0.05, 72) + place
    if kind == "mass":
        filled = gaussian_filter(inside([outline], side).astype(np.float32), side / (200 if malignant else 500))
        return _Finding(kind, malignant, outline, (0.22 if malignant else 0.14) * filled)
    specks = np.zeros((side, side), np.float32)
    count, size = (30, side / 420) if malignant else (5, side / 150)
    angle, reach = rng.uniform(0, 2 * np.pi, count), radius * 0.8 * np.sqrt(rng.uniform(0, 1, count))
    for middle in np.stack([np.cos(angle) * reach, np.sin(angle) * reach], axis=1) + place:
        specks = np.maximum(specks, inside([blob(rng, size * rng.uniform(0.8, 1.3), 0.1, 16) + middle], side))
    return _Finding(kind, malignant, outline, 0.4 * gaussian_filter(specks.astype(np.float32), side / 2000))


def _save_region(folder: Path, image: NDArray[np.uint16], finding: _Finding, swapped: bool) -> None:
    mask = inside([finding.outline], max(image.shape))[: image.shape[0], : image.shape[1]]
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    cut = image[
        max(rows[0] - _CUT_OUT, 0) : rows[-1] + _CUT_OUT, max(columns[0] - _CUT_OUT, 0) : columns[-1] + _CUT_OUT
    ]
    files = [cut, mask.astype(np.uint8) * np.uint8(255)]
    for number, pixels in enumerate(reversed(files) if swapped else files, 1):
        _save(folder, f"1-{number}.dcm", pixels)


def _save(folder: Path, name: str, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.UID(_MAMMOGRAPHY)
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(folder), name])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset(str(folder / name), {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.Modality, image.PhotometricInterpretation, image.SamplesPerPixel = "MG", "MONOCHROME2", 1
    image.Rows, image.Columns = pixels.shape
    image.BitsAllocated = image.BitsStored = 8 * pixels.itemsize
    image.HighBit, image.PixelRepresentation = 8 * pixels.itemsize - 1, 0
    image.PixelData = np.ascontiguousarray(pixels).tobytes()
    image.save_as(folder / name, enforce_file_format=True)
