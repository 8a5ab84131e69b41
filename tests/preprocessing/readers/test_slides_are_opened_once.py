"""A slide is opened once to choose its reader, files that are not used are closed, and nothing is proved in vain."""

from pathlib import Path

import pytest

from preprocessing.errors import SlideOpenError
from preprocessing.readers import opening
from preprocessing.readers.opening import ReaderChoice, choose_reader, known_choice, open_proved, open_slide, read_info
from tests.preprocessing.readers.making import texture, write_pyramid

FILES = [
    ("mosaic/tumor_101.tif", "direct", ["OpenSlideReader", "DirectReader"]),
    ("wsi/TCGA-CR-7395-01A-01-TS1.svs", "openslide", ["OpenSlideReader"]),
    ("wsi/boxes.tiff", "openslide", ["OpenSlideReader"]),
    ("camelyon16/tumor_001_level5_mask.png", "flat", ["FlatReader"]),
]


class Journal:
    """Which readers were opened, and which of them are closed."""

    def __init__(self) -> None:
        self.opened: list[object] = []
        self.closed: list[object] = []

    def names(self) -> list[str]:
        return [type(reader).__name__ for reader in self.opened]


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    kept = Journal()

    def noting(kind: type) -> type:
        def opened(self: object, path: str) -> None:
            kind.__init__(self, path)
            kept.opened.append(self)

        def closed(self: object) -> None:
            kept.closed.append(self)
            kind.close(self)

        return type(kind.__name__, (kind,), {"__init__": opened, "close": closed})

    for kind in (opening.DirectReader, opening.OpenSlideReader, opening.FlatReader):
        monkeypatch.setattr(opening, kind.__name__, noting(kind))
    return kept


@pytest.mark.parametrize(("name", "chosen", "opened"), FILES)
def test_the_reader_on_trial_is_handed_on_and_others_are_closed(
    real: Path, journal: Journal, name: str, chosen: str, opened: list[str]
) -> None:
    slide, choice = open_proved(str(real / name))
    assert (slide.name, choice.name, journal.names()) == (chosen, chosen, opened)
    assert journal.closed == [reader for reader in journal.opened if reader is not slide]
    assert slide.read(0, 1, 2, 30, 20).shape == (20, 30, 3)
    slide.close()
    assert choose_reader(str(real / name)) == choice
    assert len(journal.closed) == len(journal.opened)


def test_nothing_stays_open_when_the_proof_ends_in_an_error(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(256, 256))

    def out_of_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(opening, "equals_openslide", out_of_memory)
    with pytest.raises(MemoryError):
        open_proved(str(path))
    assert set(journal.closed) == set(journal.opened)
    assert journal.names() == ["OpenSlideReader", "DirectReader"]


def test_what_the_proof_decoded_is_not_decoded_again(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(512, 512), levels=3, tile=256)
    slide, _ = open_proved(str(path))
    with slide:
        assert isinstance(slide, opening.DirectReader)
        decoded = slide.decoded
        slide.read(2, 0, 0, 1, 1)
        slide.read(1, 0, 0, 256, 256)
        assert slide.decoded == decoded


@pytest.mark.parametrize(("name", "chosen", "opened"), FILES)
def test_facts_are_read_without_a_proof(
    real: Path, monkeypatch: pytest.MonkeyPatch, name: str, chosen: str, opened: list[str]
) -> None:
    with open_slide(str(real / name)) as slide:
        expected = slide.info
        assert slide.name == chosen
    del opened

    def never(*_: object) -> None:
        raise AssertionError("proved")

    monkeypatch.setattr(opening, "equals_openslide", never)
    assert read_info(str(real / name)) == expected


def test_facts_of_what_does_not_open_end_in_the_same_error(tmp_path: Path) -> None:
    path = tmp_path / "notes.tif"
    path.write_text("no image at all")
    for read in (read_info, choose_reader, known_choice):
        with pytest.raises(SlideOpenError, match="opens neither as a slide nor as a flat image"):
            read(str(path))
        with pytest.raises(SlideOpenError, match="does not exist"):
            read(str(tmp_path / "nothing.tif"))


def test_a_known_file_is_judged_again_only_when_it_has_changed(tmp_path: Path, journal: Journal) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(256, 256))
    assert [known_choice(str(path)) for _ in range(5)] == 5 * [ReaderChoice("direct")]
    assert journal.names() == ["OpenSlideReader", "DirectReader"]
    write_pyramid(path, texture(256, 256), tables=b"\0\0" + b"damaged")
    assert known_choice(str(path)) == ReaderChoice("openslide", "its JPEG tables are damaged")
    path.unlink()
    with pytest.raises(SlideOpenError, match="does not exist"):
        known_choice(str(path))
