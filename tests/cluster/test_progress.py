"""Progress tells what is done and what is left: a bar on a terminal, lines in a log, also inside one big slide."""

import io
import logging
import re
import time
from collections.abc import Iterable, Iterator

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from cluster.progress import Progress, duration, patch_counter, watch_tasks


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "histospark"):
        yield caplog


def in_a_file() -> Console:
    return Console(file=io.StringIO())


def test_log_has_a_line_every_30_seconds_also_within_a_wave(clock: Clock, log: pytest.LogCaptureFixture) -> None:
    progress = Progress("tile", 1, console=in_a_file(), clock=clock)
    for second in range(1, 101):
        clock.now += 1
        progress.tasks(second * 10, 4000)
    assert log.messages == [
        f"tile: 0 of 1 slides, 0 patches, {left} left, {tasks} of 4,000 tasks of this wave"
        for left, tasks in (("6 min 10 s", "300"), ("5 min 40 s", "600"), ("5 min 10 s", "900"))
    ]
    clock.now += 300
    progress.slide_done(80_000)
    progress.close()
    assert log.messages[-1] == "tile: 1 of 1 slides, 80,000 patches (200/s), took 6 min 40 s"


def test_time_left_counts_slides_and_the_share_of_the_running_wave(clock: Clock) -> None:
    progress = Progress("tile", 10, wave=4, console=in_a_file(), clock=clock)
    assert progress.seconds_left() is None
    clock.now += 40
    progress.tasks(8, 8)
    for _ in range(4):
        progress.slide_done(100)
    assert progress.seconds_left() == pytest.approx(60)  # 6 slides at 10 s
    clock.now += 20
    progress.tasks(4, 4)  # a stage that is all there is so far; the first wave had 2 tasks a slide
    assert progress.seconds_left() == pytest.approx(40)  # 60 s for 6 slides' worth of work, 4 are left
    clock.now += 20
    for _ in range(4):
        progress.slide_done(100)
    progress.tasks(2, 4)  # the last wave has 2 slides, 1 of them done by the count of tasks
    assert progress.seconds_left() == pytest.approx(80 / 9)


def test_rate_is_that_of_the_finished_slides(clock: Clock, log: pytest.LogCaptureFixture) -> None:
    """Patches of a running wave are not known: its time must not thin out the rate."""
    progress = Progress("tile", 4, wave=2, console=in_a_file(), clock=clock)
    clock.now += 10
    progress.slide_done(1000)
    progress.slide_done(2000)
    clock.now += 90
    progress.tasks(1, 10)
    assert log.messages == [
        "tile: 2 of 4 slides, 3,000 patches (300/s), 1 min 22 s left, 1 of 10 tasks of this wave",
    ]


def test_terminal_shows_one_bar_that_fills_and_no_lines(clock: Clock, log: pytest.LogCaptureFixture) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120, color_system=None)
    progress = Progress("infer", 2, wave=1, console=terminal, clock=clock)
    clock.now += 60
    progress.tasks(1, 4)
    quarter = shown(screen)
    progress.slide_done(500)
    half = shown(screen)
    progress.slide_done(500)
    progress.close()
    full = shown(screen)
    assert quarter.startswith("infer ")
    assert quarter.endswith(" 0 of 2 slides, 0 patches, 7 min left, 1 of 4 tasks of this wave")
    assert half.endswith(" 1 of 2 slides, 500 patches (8/s), 1 min left")
    assert full.endswith(" 2 of 2 slides, 1,000 patches (17/s), 0 s left")
    assert 0 < filled(quarter) < filled(half) < filled(full)
    assert "\n" not in screen.getvalue().partition("0 s left")[0]
    assert log.messages == []


def test_narrow_terminal_keeps_bar_and_time_left(clock: Clock) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=80, color_system=None)
    progress = Progress("tile", 40, console=terminal, clock=clock)
    clock.now += 60
    for _ in range(20):
        progress.slide_done(1500)
    progress.tasks(100, 500)
    line = shown(screen)
    assert line.endswith(" 20 of 40 slides, 30,000 patches (500/s), 40 s left")
    assert filled(line) > 10
    progress.close()


def test_nothing_to_do_shows_nothing(log: pytest.LogCaptureFixture) -> None:
    screen = io.StringIO()
    Progress("tile", 0, console=Console(file=screen, force_terminal=True)).close()
    Progress("tile", 0, console=in_a_file()).close()
    assert (screen.getvalue(), log.messages) == ("", [])


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (7201, "2 h"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations_read_well(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_single_big_slide_shows_its_patches_while_it_runs(clock: Clock, log: pytest.LogCaptureFixture) -> None:
    progress = Progress("tile", 1, console=in_a_file(), clock=clock)
    clock.now += 50
    progress.tasks(100, 1000, patches=20_000)
    assert log.messages == [
        "tile: 0 of 1 slides, 20,000 patches (400/s), 7 min 30 s left, 100 of 1,000 tasks of this wave"
    ]
    clock.now += 450
    progress.slide_done(200_000)
    progress.close()
    assert log.messages[-1] == "tile: 1 of 1 slides, 200,000 patches (400/s), took 8 min 20 s"


def test_watching_counts_the_tasks_of_all_stages_and_the_patches_they_wrote(spark: SparkSession) -> None:
    """Two jobs one after the other, one on an RDD and one on a frame: what the first one did stays counted."""
    told: list[tuple[int, int, int]] = []
    counter = patch_counter(spark)
    counter.add(1000)  # of an earlier wave

    def slow(number: int) -> int:
        time.sleep(0.15)
        counter.add(10)
        return number

    def slow_frames(frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            time.sleep(0.15)
            counter.add(7 * len(frame))
            yield frame

    with watch_tasks(spark, lambda *seen: told.append(seen), every=0.05):
        spark.sparkContext.parallelize(range(4), 4).map(slow).collect()
        spark.range(0, 6, 1, 6).mapInPandas(slow_frames, "id long").collect()
        time.sleep(0.2)
    totals = [total for _, total, _ in told]
    assert totals == sorted(totals)
    assert {4, 10} <= set(totals)
    assert all(finished <= total for finished, total, _ in told)
    assert any(4 <= finished < 10 for finished, total, _ in told if total == 10)
    assert told[-1] == (10, 10, 4 * 10 + 6 * 7)
    assert any(0 < patches < 82 for _, _, patches in told)


def shown(screen: io.StringIO) -> str:
    """The line as it stands on the screen after all it was overwritten with."""
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    return text.replace("\n", "").split("\r")[-1].rstrip()


def filled(line: str) -> int:
    return line.count("━")
