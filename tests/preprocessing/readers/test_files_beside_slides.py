"""Which files go along with a slide that is copied, by its format."""

from pathlib import Path

import pytest

from cluster.storage import Store
from preprocessing.readers.staged import files_beside

VMS = "[Virtual Microscope Specimen]\nNoLayers=1\nImageFile=a-1.jpg\nImageFile(0,1)=a-2.jpg\nMapFile=a map.jpg\n"


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("s.mrxs", ["s/Data0000.dat", "s/Slidedat.ini"]),
        ("a.vms", ["a map.jpg", "a-1.jpg", "a-2.jpg"]),
        ("1.dcm", ["1.dcm", "2.dcm"]),
        ("s.svs", []),
    ],
)
def test_files_beside(name: str, beside: list[str], tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "a.vms").write_text(VMS)
    others = ("s/Data0000.dat", "s/Slidedat.ini", "a-1.jpg", "a-2.jpg", "a-3.jpg", "a map.jpg", "1.dcm", "2.dcm")
    for other in (*others, "s.mrxs", "s.svs", "s.xml"):
        (tmp_path / other).write_bytes(b"x")
    assert sorted(files_beside(Store(str(tmp_path)), name)) == beside
