"""One job per output: the second is refused and told who is first, a dead one is replaced, by exactly one."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cluster import lock
from cluster.errors import JobError, UsageError
from cluster.lock import confirm_lock, holds_lock, output_lock, refuse_locked
from cluster.storage import Store
from tests.cluster.asking import ask, ask_and_say
from tests.cluster.s3_server import S3Server
from tests.conftest import ROOT

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.cluster.asking"])


@pytest.fixture
def other_job(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the lock of `tmp_path`."""
    code = (
        "import sys, time\nfrom cluster.lock import output_lock\nfrom cluster.storage import Store\n"
        "with output_lock(Store(sys.argv[1]), 'first', 'histospark tile (app-1)'):\n"
        "    print('held', flush=True)\n    time.sleep(1000)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    job = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    assert job.stdout.readline() == "held\n"
    yield job
    job.kill()
    job.wait()
    job.stdout.close()


def test_second_job_is_refused_and_told_who_is_first(other_job: "subprocess.Popen[str]", tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for refused in (partial(refuse_locked, store), output_lock(store, "second", "mine").__enter__):
        with pytest.raises(UsageError) as told:
            refused()
        for word in (
            str(tmp_path),
            "histospark tile (app-1)",
            f"process {other_job.pid}",
            socket.gethostname(),
            "since 20",
        ):
            assert word in str(told.value)
    assert holds_lock(store, "first")
    assert not holds_lock(store, "second")


def test_lock_of_a_killed_job_is_taken_over_at_once(other_job: "subprocess.Popen[str]", tmp_path: Path) -> None:
    """Even before anyone has reaped the killed process, which is then a zombie."""
    os.kill(other_job.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while "\nState:\tZ" not in Path(f"/proc/{other_job.pid}/status").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    store = Store(str(tmp_path))
    refuse_locked(store)
    with output_lock(store, "second", "mine"):
        confirm_lock(store, "second")
        with pytest.raises(JobError, match="taken over by mine"):
            confirm_lock(store, "first")
    assert list(tmp_path.iterdir()) == []


def test_later_process_with_the_same_pid_is_not_mistaken(tmp_path: Path) -> None:
    written = json.loads(_lock_of(tmp_path).read_text())
    assert written["pid"] == os.getpid()
    _put_lock(tmp_path, written | {"run": "dead", "process": "1"})
    with output_lock(Store(str(tmp_path)), "second", "mine"):
        pass


def test_job_elsewhere_lives_while_it_gives_signs_and_then_it_is_dead(tmp_path: Path) -> None:
    elsewhere = {"run": "dead", "host": "elsewhere", "machine": "elsewhere 1"}
    file = _put_lock(tmp_path, json.loads(_lock_of(tmp_path).read_text()) | elsewhere)
    store = Store(str(tmp_path))
    with pytest.raises(UsageError, match=r"on elsewhere .* counts as dead 60 s after its last sign of life"):
        refuse_locked(store)
    now = time.time()
    os.utime(file, (now - 50, now - 50))
    with pytest.raises(UsageError):
        refuse_locked(store)
    os.utime(file, (now - 70, now - 70))
    with output_lock(store, "second", "mine"):
        confirm_lock(store, "second")


def test_holder_gives_signs_of_life(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with output_lock(store, "first", "mine", touched_every=0.05):
        file = next(tmp_path.glob("_lock-*"))
        os.utime(file, (1, 1))
        deadline = time.monotonic() + 60
        while file.stat().st_mtime == 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert store.seconds_since_touched(file.name) < 60


def test_job_whose_lock_was_removed_stops_and_leaves_that_of_the_next_alone(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with output_lock(store, "first", "mine", touched_every=0.05):
        next(tmp_path.glob("_lock-*")).unlink()
        with pytest.raises(JobError, match="was removed"):
            confirm_lock(store, "first")
        with output_lock(store, "second", "the next"):
            with pytest.raises(JobError, match="taken over by the next"):
                confirm_lock(store, "first")
            confirm_lock(store, "second")
            time.sleep(0.2)
            assert not holds_lock(store, "first"), "its signs of life do not bring it back"
    assert list(tmp_path.iterdir()) == []


def test_output_that_cannot_be_written_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with (
        pytest.raises(UsageError, match=r"cannot be written: .*; choose another --out"),
        output_lock(Store(str(tmp_path / "file")), "first", "mine"),
    ):
        pass


@pytest.mark.parametrize("state", ["free", "dead", "dead elsewhere"])
def test_of_many_that_try_at_once_exactly_one_gets_it(state: str, tmp_path: Path) -> None:
    jobs = 8
    for turn in range(4):
        out = tmp_path / str(turn)
        if state != "free":
            written = json.loads(_lock_of(out).read_text()) | {"run": "dead", "process": "1"}
            file = _put_lock(out, written | ({"machine": "elsewhere 1"} if "elsewhere" in state else {}))
            os.utime(file, (1, 1))
        start, tried, said = PROCESSES.Barrier(jobs), PROCESSES.Barrier(jobs), PROCESSES.Queue()
        arguments = [(str(out), f"job-{number}", start, tried, said) for number in range(jobs)]
        processes = [PROCESSES.Process(target=ask_and_say, args=each) for each in arguments]
        for process in processes:
            process.start()
        answers = [said.get(timeout=120) for _ in processes]
        for process in processes:
            process.join()
        assert sorted(answers) == ["got it"] + ["refused"] * (jobs - 1)
        assert list(out.iterdir()) == []


def test_store_decides_who_of_many_gets_it(elsewhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_machine", lambda: threading.current_thread().name)  # each of another machine
    out, jobs = f"{elsewhere}/locked", 8
    for _ in range(3):
        start, tried = threading.Barrier(jobs), threading.Barrier(jobs)
        with ThreadPoolExecutor(jobs) as pool:
            answers = list(pool.map(ask, [out] * jobs, map(str, range(jobs)), [start] * jobs, [tried] * jobs))
        assert sorted(answers) == ["got it"] + ["refused"] * (jobs - 1)
        assert Store(out).files() == []


def test_dead_job_elsewhere_is_replaced_on_s3_and_one_that_gives_signs_is_not(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, dead_after = Store(f"{s3.uri}/elsewhere"), 2.0  # the times of objects are whole seconds
    with monkeypatch.context() as patched:
        patched.setattr(lock, "_machine", lambda: "elsewhere")
        living = output_lock(store, "first", "mine", touched_every=0.2)
        living.__enter__()
    time.sleep(dead_after + 1)
    with pytest.raises(UsageError, match="is being written by mine"):
        output_lock(store, "second", "mine", dead_after=dead_after).__enter__()
    living.__exit__(None, None, None)
    with monkeypatch.context() as patched:
        patched.setattr(lock, "_machine", lambda: "elsewhere")
        lock._acquire(store, lock._myself("dead", "mine"), dead_after)
    time.sleep(dead_after + 1)
    with output_lock(store, "second", "mine", dead_after=dead_after):
        confirm_lock(store, "second")
    assert store.files() == []


def _lock_of(out: Path) -> Path:
    """A lock as it was written by this process, kept under another name."""
    with output_lock(Store(str(out)), "first", "mine"):
        file = next(out.glob("_lock-*"))
        return file.rename(out.parent / f"{out.name}.lock")


def _put_lock(out: Path, written: dict[str, Any]) -> Path:
    out.mkdir(exist_ok=True)
    file = out / "_lock-00000003.json"
    file.write_text(json.dumps(written))
    return file
