"""Published data sets become manifests: each file found, each label kept, and what is missing told by name."""

from pathlib import Path

import pandas as pd
import pytest

from cluster.errors import UsageError
from preprocessing.datasets.manifest_job import write_manifest
from preprocessing.manifest import read_manifest
from tests.conftest import Command


def _touched(folder: Path, *names: str, **texts: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts.get(path.name.replace(".", "_"), ""))
    return folder


def _manifest(dataset: str, source: Path, tmp_path: Path) -> tuple[pd.DataFrame, str]:
    out = tmp_path / "slides.csv"
    notes = "\n".join(write_manifest(dataset, str(source), str(out)).notes)
    return pd.read_csv(out, dtype=str).set_index("slide_id"), notes


@pytest.fixture
def camelyon16(tmp_path: Path) -> Path:
    """As GigaDB unpacks it; names of the test set are written in two ways there."""
    return _touched(
        tmp_path / "CAMELYON16",
        *(f"training/normal/normal_{number:03d}.tif" for number in (1, 86, 144)),
        "training/tumor/tumor_001.tif",
        "training/lesion_annotations/tumor_001.xml",
        *(f"testing/images/test_{number:03d}.tif" for number in (1, 2, 49, 114)),
        "testing/lesion_annotations/Test_001.xml",
        "testing/evaluation/evaluation_masks/test_001_mask.tif",
        "testing/reference.csv",
        reference_csv="test_001,Tumor,IDC,Macro\ntest_002,Normal,None,None\n",
    )


def test_camelyon16_has_labels_annotations_and_its_official_test(camelyon16: Path, tmp_path: Path) -> None:
    rows, notes = _manifest("camelyon16", camelyon16, tmp_path)
    assert rows["label"].to_dict() == {
        "normal_001": "normal",
        "tumor_001": "tumor",
        "test_001": "tumor",
        "test_002": "normal",
    }
    assert rows.loc["test_001", "annotation"] == f"{camelyon16}/testing/lesion_annotations/Test_001.xml"
    assert rows["split"].dropna().to_dict() == {"test_001": "test", "test_002": "test"}
    for left_out in ("normal_086", "normal_144", "test_049", "test_114"):
        assert f"{left_out} is left out" in notes


def test_one_split_is_listed_alone_where_the_data_set_has_it(camelyon16: Path, tmp_path: Path) -> None:
    out = tmp_path / "test.csv"
    write_manifest("camelyon16", str(camelyon16), str(out), "test")
    assert [entry.slide_id for entry in read_manifest(str(out))] == ["test_001", "test_002"]
    with pytest.raises(UsageError, match="puts no slide there"):
        write_manifest("camelyon16", str(camelyon16), str(out), "validation")


def test_camelyon16_without_its_reference_calls_no_test_slide_normal(camelyon16: Path, tmp_path: Path) -> None:
    (camelyon16 / "testing" / "reference.csv").unlink()
    rows, notes = _manifest("camelyon16", camelyon16, tmp_path)
    assert rows.loc["test_002":"test_002", "label"].isna().all()
    assert "reference.csv" in notes


def test_camelyon16_without_an_annotation_is_refused(camelyon16: Path, tmp_path: Path) -> None:
    (camelyon16 / "training" / "lesion_annotations" / "tumor_001.xml").unlink()
    with pytest.raises(UsageError, match="tumor_001"):
        _manifest("camelyon16", camelyon16, tmp_path)


def test_tupac16_scores_go_by_the_line_of_the_list(tmp_path: Path) -> None:
    source = _touched(
        tmp_path / "data",
        *(f"training_image_data/TUPAC-TR-{number:03d}.svs" for number in (1, 3, 4)),
        "testing_image_data/TUPAC-TE-001.svs",
        "training_ground_truth.csv",
        training_ground_truth_csv="1,-0.4\n2,0.1\n3,0.2\n1,-1.0\n",
    )
    rows, notes = _manifest("tupac16", source, tmp_path)
    assert rows["label"].to_dict() == {"TUPAC-TR-001": "1", "TUPAC-TR-003": "3", "TUPAC-TR-004": "1"}
    assert (rows["stratum"] == rows["label"]).all()
    assert "TUPAC-TR-002" in notes
    assert "TUPAC-TE" in notes


@pytest.mark.parametrize(("scores", "named"), [("1,0\n", "TUPAC-TR-002"), ("1,0\n4,0\n", "line 2 begins with '4'")])
def test_tupac16_with_a_slide_that_has_no_score_is_refused(scores: str, named: str, tmp_path: Path) -> None:
    source = _touched(
        tmp_path / "data",
        *(f"training_image_data/TUPAC-TR-{number:03d}.svs" for number in (1, 2)),
        "training_ground_truth.csv",
        training_ground_truth_csv=scores,
    )
    with pytest.raises(UsageError, match=named):
        _manifest("tupac16", source, tmp_path)


def test_mitoses_go_with_their_field_and_fields_without_are_normal(tmp_path: Path) -> None:
    source = _touched(
        tmp_path / "mitoses",
        "mitoses_image_data_part_1/01/01.tif",
        "mitoses_image_data_part_1/01/02.tif",
        "mitoses_image_data_part_3/60/01.tif",
        "mitoses_ground_truth/01/01.csv",
        "mitoses_ground_truth/60/01.csv",
        "mitoses-test-image-data/90/01.tif",
    )
    rows, notes = _manifest("tupac16-mitoses", source, tmp_path)
    assert list(rows.index) == ["mitoses_01_01", "mitoses_01_02", "mitoses_60_01"]
    assert rows["patient_id"].to_list() == ["01", "01", "60"]
    assert rows["stratum"].to_list() == ["center_1", "center_1", "center_3"]
    assert rows.loc["mitoses_01_02", "label"] == "normal"
    assert rows.loc["mitoses_60_01", "annotation"].endswith("mitoses_ground_truth/60/01.csv")
    assert "1 images have no list" in notes
    assert "1 images are of cases without any list" in notes


def test_a_list_of_mitoses_without_its_field_is_refused(tmp_path: Path) -> None:
    source = _touched(tmp_path / "m", "mitoses_image_data/01/01.tif", "mitoses_ground_truth/01/02.csv")
    with pytest.raises(UsageError, match="01/02"):
        _manifest("tupac16-mitoses", source, tmp_path)


def test_manifests_read_back_as_they_were_meant(camelyon16: Path, tmp_path: Path) -> None:
    write_manifest("camelyon16", str(camelyon16), str(tmp_path / "slides.csv"))
    entries = {entry.slide_id: entry for entry in read_manifest(str(tmp_path / "slides.csv"))}
    assert entries["normal_001"].is_normal
    assert entries["tumor_001"].is_tumor
    assert entries["tumor_001"].annotation == f"{camelyon16}/training/lesion_annotations/tumor_001.xml"


def test_command_writes_the_manifest_and_tells_what_is_amiss(
    camelyon16: Path, histospark: Command, tmp_path: Path
) -> None:
    out = tmp_path / "slides.csv"
    ended = histospark("manifest", "--dataset", "camelyon16", "--source", camelyon16, "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert "note: test_114 is left out" in ended.stderr
    assert "4 slides in" in ended.stdout
    assert out.exists()
    ended = histospark("manifest", "--dataset", "tupac16", "--source", camelyon16, "--out", out)
    assert ended.returncode == 2
    assert "training_ground_truth.csv" in ended.stderr
