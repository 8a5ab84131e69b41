"""The files in conf/schedules work as they stand: cron's line in cron's own environment, systemd's units."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.inference.refreshing.conftest import Site

SCHEDULES = ROOT / "conf" / "schedules"
BIN = Path(sys.executable).parent


def crontab() -> tuple[dict[str, str], str]:
    """The settings, and the one command."""
    settings, commands = {}, []
    for line in (SCHEDULES / "crontab").read_text().splitlines():
        if setting := re.fullmatch(r"([A-Za-z_]+)\s*=\s*(.*)", line):
            settings[setting[1]] = setting[2]
        elif line and not line.startswith("#"):
            *times, command = line.split(maxsplit=5)
            assert len(times) == 5
            assert all(re.fullmatch(r"[\d*,/-]+", time) for time in times)
            commands.append(command)
    (command,) = commands
    assert "%" not in command  # cron makes it a line break
    return settings, command


def run_by_cron(changes: dict[str, str], home: Path) -> "subprocess.CompletedProcess[str]":
    settings, command = crontab()
    assert changes.keys() <= settings.keys()
    environment = {"HOME": str(home), "LOGNAME": "histospark"} | settings | changes
    return subprocess.run(
        [settings["SHELL"], "-c", command], env=environment, cwd=home, capture_output=True, text=True, check=False
    )


def test_cron_line_does_a_new_slide_and_mails_nothing(site: Site, tmp_path: Path) -> None:
    site.add_slide()
    changes = site.settings | {"PATH": f"{BIN}:/usr/bin:/bin", "LOG": str(tmp_path / "refresh.log")}
    done = run_by_cron(changes, tmp_path)
    log = (tmp_path / "refresh.log").read_text()
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0), log
    assert "1 new and 0 changed slides; 1 done" in log
    summary = site.told()
    assert (summary.new, summary.done, summary.skipped) == (("late",), ("late",), 4)
    assert str(site.recipe) in summary.command


def test_cron_mails_one_line_where_the_refresh_does_not_end_well(site: Site, tmp_path: Path) -> None:
    program = tmp_path / "histospark"
    program.write_text('#!/bin/sh\necho "$1 $9"\nexit 3\n')
    program.chmod(0o755)
    changes = site.settings | {"PATH": f"{tmp_path}:/usr/bin:/bin", "LOG": str(tmp_path / "refresh.log")}
    mailed = run_by_cron(changes, tmp_path).stdout
    assert mailed == f"histospark refresh ended with 3; see {site.out}/report.html and {tmp_path}/refresh.log\n"
    assert (tmp_path / "refresh.log").read_text() == f"refresh {site.out}\n"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    units = [Path(shutil.copy(SCHEDULES / f"histospark-refresh.{kind}", tmp_path)) for kind in ("service", "timer")]
    text = units[0].read_text()
    assert "/opt/histospark/.venv/bin/histospark" in text
    units[0].write_text(text.replace("/opt/histospark/.venv/bin/histospark", str(BIN / "histospark")))
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    ours = [line for line in said.stderr.splitlines() if "histospark" in line]
    assert (said.returncode, ours) == (0, []), said.stderr


def test_line_of_the_unit_starts_no_java_where_nothing_is_new(site: Site, tmp_path: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False, delimiters="=", comment_prefixes="#")
    unit.optionxform = str  # type: ignore[method-assign,assignment]
    unit.read(SCHEDULES / "histospark-refresh.service")
    named = re.findall(r"^(\w+)=", (SCHEDULES / "histospark-refresh.env").read_text(), flags=re.MULTILINE)
    assert set(named) == site.settings.keys()
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\ntouch '{tmp_path}/java was asked'\nexit 1\n")
    java.chmod(0o755)
    environment = {"PATH": f"{java.parent}:/usr/bin:/bin", "JAVA_HOME": str(java.parents[1]), "HOME": str(tmp_path)}
    command = by_systemd(unit["Service"]["ExecStart"], site.settings)
    assert command[0] == "/opt/histospark/.venv/bin/histospark"
    command[0] = str(BIN / "histospark")
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "4 done before" in done.stdout
    assert not (tmp_path / "java was asked").exists()
    assert site.told().command == shlex.join(["histospark", *command[1:]])


def by_systemd(line: str, environment: dict[str, str]) -> list[str]:
    """Words of a command line by systemd.service(5): `${NAME}` stays one word, `$NAME` alone is split."""
    words = []
    for word in line.split():
        if re.fullmatch(r"\$\w+", word):
            words += environment[word[1:]].split()
        else:
            words.append(re.sub(r"\$\{(\w+)\}", lambda found: environment[found[1]], word))
    return words
