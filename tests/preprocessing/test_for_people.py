"""What the command line tells a person: help, slides, ledger."""

from pathlib import Path

from tests.conftest import Command


def test_help_lists_every_command(histospark: Command) -> None:
    said = histospark("--help").stdout
    for command in ("demo", "inspect", "tile", "train", "infer", "evaluate", "status"):
        assert f"\n  {command} " in said


def test_inspect_tells_levels_and_what_is_missing(histospark: Command, real: Path) -> None:
    ended = histospark("inspect", real / "wsi" / "TCGA-CR-7395-01A-01-TS1.svs", real / "wsi" / "bad")
    assert ended.returncode == 3
    assert "mpp not stated, objective not stated" in ended.stdout
    assert "level 1: 2221x1783 px, downsample 2.001  (no whole number" in ended.stdout
    assert ended.stdout.count("unusable: ") == 3
    assert "Traceback" not in ended.stderr
