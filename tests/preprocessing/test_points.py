"""Points as programs write them, and what is refused by name."""

from pathlib import Path

import numpy as np
import pytest

from preprocessing.annotations import read_regions
from preprocessing.errors import AnnotationError
from preprocessing.points import Points, holds_points, read_points
from preprocessing.slide_check import inspect_slide
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels
from tests.preprocessing.annotation_files import asap, feature, geojson, polygon, square
from tests.preprocessing.flat_slides import flat_slide

LABELS = Labels(classes={"mitosis": ("Mitosis",), "doubtful": ("Doubtful",)}, excluded=("hard_negative",))


def read(path: Path, width: int = 100, height: int = 80) -> Points:
    return read_points(str(path), LABELS, width, height)


def dots(path: Path, *marked: tuple[str, str, list[tuple[float, float]]]) -> Path:
    """ASAP's XML with other types than polygons."""
    text = asap(path, *((group, corners) for _, group, corners in marked)).read_text()
    for kind, _, _ in marked:
        text = text.replace('Type="Polygon"', f'Type="{kind}"', 1)
    path.write_text(text)
    return path


def test_points_of_all_programs_are_the_same_points(tmp_path: Path) -> None:
    marked = [("Mitosis", [(3.5, 7.25)]), ("DOUBTFUL", [(0, 0), (99.5, 79.5)]), ("hard_negative", [(50, 60)])]
    drawn = [
        feature({"type": "MultiPoint", "coordinates": places} if len(places) > 1 else
                {"type": "Point", "coordinates": [*places[0], 0]}, classification={"name": group})
        for group, places in marked
    ]  # fmt: skip
    by_qupath = read(geojson(tmp_path / "a.geojson", {"type": "FeatureCollection", "features": drawn}))
    of_asap = [("PointSet" if len(places) > 1 else "Dot", group, places) for group, places in marked]
    for points in (by_qupath, read(dots(tmp_path / "a.xml", *of_asap))):
        assert points.xy.tolist() == [[3.5, 7.25], [0, 0], [99.5, 79.5], [50, 60]]
        assert points.labels.tolist() == [1, 2, 2, 0]


def test_a_table_holds_row_and_column_of_the_first_class(tmp_path: Path) -> None:
    (tmp_path / "01.csv").write_bytes(b"12,34\r\n\r\n79, 0.5\r\n")
    points = read(tmp_path / "01.csv")
    assert points.xy.tolist() == [[34, 12], [0.5, 79]]
    assert points.labels.tolist() == [1, 1]


@pytest.mark.parametrize("name", ["a.csv", "a.xml", "a.geojson"])
def test_a_file_without_points_is_a_finding_of_nothing(tmp_path: Path, name: str) -> None:
    texts = {"a.csv": "", "a.xml": "<ASAP_Annotations/>", "a.geojson": '{"type": "FeatureCollection", "features": []}'}
    (tmp_path / name).write_text(texts[name])
    assert read(tmp_path / name).xy.shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("row,col\n1,2\n", r"line 1 is 'row,col', not the row and column of a point"),
        ("1,2\n3\n", "line 2 is '3'"),
        ("1,2,3\n", "line 1 is '1,2,3'"),
        ("1,2\n80,4\n", "line 2 has a point at x 4, y 80, outside the slide of 100x80 px"),
        ("nan,4\n", "line 1 has a point at x 4, y nan, outside the slide"),
        ("-1,4\n", "line 1 has a point at x 4, y -1, outside"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_by_its_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "01.csv").write_text(text)
    with pytest.raises(AnnotationError, match=r"01\.csv.*" + reason):
        read(tmp_path / "01.csv")


def test_what_cannot_be_read_or_decoded_is_an_annotation_error(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"gone\.csv cannot be read"):
        read(tmp_path / "gone.csv")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AnnotationError, match=r"a\.csv is no table of points"):
        read(tmp_path / "a.csv")


def test_areas_and_unknown_groups_are_refused_by_name(tmp_path: Path) -> None:
    area = feature(polygon(square(0, 0, 9)), classification={"name": "Mitosis"}, name="the area")
    point = feature({"type": "Point", "coordinates": [1, 2]}, classification={"name": "Mitosis"})
    with pytest.raises(AnnotationError, match=r"the area is a Polygon, and tiling\.placement\.kind is points"):
        read(geojson(tmp_path / "a.geojson", [point, area]))
    with pytest.raises(AnnotationError, match="A0 is in group 'Apoptosis'; known groups are doubtful, hard_negative"):
        read(dots(tmp_path / "a.xml", ("Dot", "Apoptosis", [(1, 2)])))
    with pytest.raises(AnnotationError, match="A0 is a Spline, and"):
        read(dots(tmp_path / "b.xml", ("Spline", "Mitosis", square(0, 0, 9))))


@pytest.mark.parametrize("coordinates", [5, [1], [], None, ["a", "b"], [[1, 2]], {"x": 1}])
def test_a_point_that_is_none_is_an_annotation_error(tmp_path: Path, coordinates: object) -> None:
    drawn = feature({"type": "Point", "coordinates": coordinates}, classification={"name": "Mitosis"})
    with pytest.raises(AnnotationError, match=r"a\.geojson is not in the expected form"):
        read(geojson(tmp_path / "a.geojson", drawn))


def test_a_file_of_points_is_told_from_one_of_areas(tmp_path: Path) -> None:
    area = feature(polygon(square(0, 0, 9)), classification={"name": "Mitosis"})
    point = feature({"type": "Point", "coordinates": [1, 2]}, classification={"name": "Mitosis"})
    assert holds_points(str(geojson(tmp_path / "p.geojson", [area, point])))
    assert not holds_points(str(geojson(tmp_path / "a.geojson", [area])))
    assert holds_points("no file of areas ends so.CSV")


def test_points_where_areas_are_meant_are_refused_with_the_key_that_takes_them(tmp_path: Path) -> None:
    (tmp_path / "01.csv").write_text("1,2\n")
    point = feature({"type": "MultiPoint", "coordinates": [[1, 2]]}, classification={"name": "Mitosis"})
    files = [
        geojson(tmp_path / "a.geojson", point),
        dots(tmp_path / "a.xml", ("PointSet", "Mitosis", [(1, 2)])),
        tmp_path / "01.csv",
    ]
    for path in files:
        with pytest.raises(AnnotationError, match=r"no area; .*tiling\.placement\.kind to points"):
            read_regions(str(path), LABELS)


def test_many_points_are_read(tmp_path: Path) -> None:
    places = np.random.default_rng(1).integers(0, (2**31 - 1, 2**31 - 1), (5000, 2))
    (tmp_path / "m.csv").write_text("".join(f"{y},{x}\n" for x, y in places))
    assert np.array_equal(read(tmp_path / "m.csv", 2**31 - 1, 2**31 - 1).xy, places)


def test_inspection_takes_a_list_of_points_for_what_it_is(tmp_path: Path) -> None:
    slide = flat_slide(tmp_path / "f.png", 64, 48, glass=0)
    (tmp_path / "good.csv").write_text("47,63\n")
    (tmp_path / "bad.csv").write_text("63,47\n")
    good, bad = (inspect_slide(SlideEntry("f", str(slide), str(tmp_path / f"{name}.csv"))) for name in ("good", "bad"))
    assert len(bad.problems) == len(good.problems) + 1
    assert "line 1 has a point at x 47, y 63, outside the slide of 64x48 px" in bad.problems[-1]
