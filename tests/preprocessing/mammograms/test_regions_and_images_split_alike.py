"""Patients of the regions and of the whole mammograms are in the same split, though these are two tables.

Programs that were made after Shen et al. split images, not patients, and the second network then judges breasts that
its first half was trained on.
"""

from pathlib import Path

import pytest

from cluster.storage import Store
from preprocessing.inventory import inventory
from preprocessing.mammograms import job
from preprocessing.mammograms.cbis_ddsm import Mammogram, Region
from preprocessing.publish import SlideTable
from preprocessing.recipe_file import load_recipe
from tests.conftest import ROOT

BENIGN, MALIGNANT = 3, 4
PATIENTS = 120


def films() -> dict[str, Mammogram]:
    """Two films a patient; of each third one film is benign and the other malignant, or both are either."""
    labels = {0: (BENIGN, BENIGN), 1: (BENIGN, MALIGNANT), 2: (MALIGNANT, MALIGNANT)}
    return {
        f"P_{patient:05d}_{view}": Mammogram(
            f"P_{patient:05d}_{view}",
            "none.png",
            f"P_{patient:05d}",
            (Region(("none.png",), labels[patient % 3][film]),),
        )
        for patient in range(PATIENTS)
        for film, view in enumerate(("CC", "MLO"))
    }


def test_a_patient_is_in_one_split_of_both_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = films()
    monkeypatch.setattr(SlideTable, "published", lambda _: dict.fromkeys(found, ""))
    job._write_manifests(SlideTable(Store(str(tmp_path)), job.TABLE), found)
    split_of = []
    for manifest, name in ((job.REGIONS, "mammography_patches"), (job.WHOLE, "mammography")):
        recipe = load_recipe(str(ROOT / "conf" / f"{name}.yaml"))
        entries = inventory(str(tmp_path / manifest), recipe.tiling, recipe.seed)
        split_of.append({(entry.patient_id, entry.split) for entry in entries})
        assert len(entries) == len(found)
        assert len(split_of[-1]) == PATIENTS  # both films of a patient together
    patches, images = split_of
    assert patches == images
    for split, share in (("test", 0.15), ("validation", 0.085)):
        chosen = [int(patient.removeprefix("P_")) for patient, of in images if of == split]
        assert len(chosen) == pytest.approx(share * PATIENTS, abs=1)
        benign = sum(patient % 3 == 0 for patient in chosen)
        assert benign == pytest.approx(len(chosen) / 3, abs=2)  # a malignant film makes the patient malignant
