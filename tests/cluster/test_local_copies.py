"""Copies of remote files: made once, whole, of the present state, and never more than the cache may hold."""

import multiprocessing
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cluster import cache_folder, local_copies
from cluster.cache_folder import CacheFolder, NoRoomError
from cluster.local_copies import CopyError, Source, local_copy, remote_state
from cluster.storage import Store
from tests.cluster.s3_server import S3Server

PROCESSES = multiprocessing.get_context("spawn")


@pytest.fixture
def remote(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A folder on S3; the cache is empty."""
    monkeypatch.setenv("HISTOSPARK_CACHE", str(tmp_path / "cache"))
    return Store(f"{s3.uri}/{tmp_path.name}")


def test_copy_is_made_once_for_all_that_ask_at_once(remote: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(200_000)
    remote.write_bytes(content, "a slide.tif")
    fetched: list[str] = []
    fetch = local_copies._fetch

    def counted(source: Source, *rest: Any) -> None:
        fetched.append(source.name)
        fetch(source, *rest)

    monkeypatch.setattr(local_copies, "_fetch", counted)
    with ThreadPoolExecutor(8) as pool:
        copies = list(pool.map(local_copy, [f"{remote.uri}/a slide.tif"] * 8))
    assert len({copy.path for copy in copies}) == 1
    assert fetched == ["a slide.tif"]
    assert Path(copies[0].path).name == "a slide.tif"
    assert Path(copies[0].path).read_bytes() == content


def test_changed_file_is_another_copy(remote: Store) -> None:
    uri, contents = f"{remote.uri}/a", (b"first", b"other")
    states = []
    for content in contents:
        remote.write_bytes(content, "a")
        states.append(remote_state(uri))
        with local_copy(uri) as copy:
            assert Path(copy.path).read_bytes() == content
    assert states[0] != states[1]


def test_files_beside_come_along(remote: Store) -> None:
    for name in ("s.mrxs", "s/Data0.dat", "s/deep/Index.dat", "t/Data0.dat"):
        remote.write_bytes(name.encode(), name)
    with local_copy(f"{remote.uri}/s.mrxs", lambda folder, name: local_copies.in_folder(folder, name[0])) as copy:
        folder = Path(copy.path).parent
        assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
            "s.mrxs", "s/Data0.dat", "s/deep/Index.dat",
        ]  # fmt: skip


def test_what_is_not_there_or_may_not_be_read_is_said_in_a_line(
    remote: Store, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CopyError, match=r"/none\.tif does not exist$"):
        local_copy(f"{remote.uri}/none.tif")
    assert remote_state(f"{remote.uri}/none.tif") is None
    remote.write_bytes(b"x", "a.tif")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    remote.fs.clear_instance_cache()
    with pytest.raises(CopyError, match=r"may not be read: .*; ask its owner, or check the credentials") as told:
        local_copy(f"{remote.uri}/a.tif")
    assert s3.secret not in str(told.value)


def test_server_that_is_not_there_is_said_in_a_line(remote: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(type(remote.fs), "retries", 1)
    remote.fs.clear_instance_cache()
    with pytest.raises(CopyError, match=r"cannot be copied to this machine: EndpointConnectionError.*; mend that"):
        local_copy(f"{remote.uri}/a.tif")


def test_broken_connections_are_tried_again(remote: Store, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(3_000_000)
    remote.write_bytes(content, "a.tif")
    monkeypatch.setattr(local_copies, "_PAUSE", 0.01)
    with cutting_proxy(int(s3.environment["AWS_ENDPOINT_URL"].rpartition(":")[2]), cuts=2) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        remote.fs.clear_instance_cache()
        with local_copy(f"{remote.uri}/a.tif") as copy:
            assert Path(copy.path).read_bytes() == content


class cutting_proxy:  # noqa: N801 used like a function
    """Hands connections on to a server; the first few answers of more than a megabyte are cut there."""

    def __init__(self, server: int, cuts: int) -> None:
        self._server, self._cuts = server, cuts
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> int:
        threading.Thread(target=self._accept, daemon=True).start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        assert self._cuts == 0, "nothing was cut"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server))
            threading.Thread(target=self._hand_on, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._hand_on, args=(server, client, True), daemon=True).start()

    def _hand_on(self, source: socket.socket, target: socket.socket, may_cut: bool) -> None:
        passed = 0
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
                passed += len(data)
                if may_cut and passed > 1_000_000 and self._cuts:
                    self._cuts -= 1
                    break
        except OSError:
            pass
        for side in (source, target):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


@pytest.fixture
def cache(tmp_path: Path) -> CacheFolder:
    """Holds 100 bytes."""
    return CacheFolder(tmp_path / "cache", 100)


def filled(cache: CacheFolder, name: str, size: int = 40) -> cache_folder.Held:
    def fill(place: Path) -> None:
        (place / "file").write_bytes(name[:1].encode() * size)

    return cache.held(name, size, fill)


def names_in(cache: CacheFolder) -> set[str]:
    return {path.read_text()[0] for path in cache.folder.glob("*/file")}


def test_least_recently_used_entry_makes_room(cache: CacheFolder) -> None:
    for moment, name in enumerate("ab"):
        filled(cache, name).close()
        for lock in cache.folder.glob("*.lock"):
            os.utime(lock, (lock.stat().st_mtime - 10 * (2 - moment),) * 2)
    filled(cache, "a").close()
    filled(cache, "c").close()
    assert names_in(cache) == {"a", "c"}


def test_entry_in_use_is_never_removed(cache: CacheFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_folder, "PATIENCE", 0)
    first, second = filled(cache, "a"), filled(cache, "b")
    with pytest.raises(NoRoomError, match=r"in use leave no room .* may hold 100; set HISTOSPARK_CACHE_BYTES"):
        filled(cache, "c")
    assert names_in(cache) == {"a", "b"}
    second.close()
    third = filled(cache, "c")
    assert names_in(cache) == {"a", "c"}
    first.close()
    third.close()


def test_entry_larger_than_the_cache_is_refused(cache: CacheFolder) -> None:
    with pytest.raises(NoRoomError, match=r"it has 101 bytes, and the cache of slides in .* may hold 100"):
        filled(cache, "a", 101)


def test_entry_whose_maker_was_killed_is_made_anew(cache: CacheFolder) -> None:
    process = PROCESSES.Process(target=die_while_filling, args=(cache.folder,))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert list(cache.folder.glob("*.part/file"))
    with filled(cache, "a") as held:
        assert (held.folder / "file").read_bytes() == b"a" * 40
    filled(cache, "b").close()
    filled(cache, "c").close()
    assert len(names_in(cache)) == 2


def die_while_filling(folder: Path) -> None:
    def fill(place: Path) -> None:
        (place / "file").write_bytes(b"half")
        os._exit(9)

    CacheFolder(folder, 100).held("a", 40, fill)


def test_maker_that_fails_leaves_nothing(cache: CacheFolder) -> None:
    def fail(place: Path) -> None:
        (place / "file").write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.held("a", 40, fail)
    for name in "bc":
        filled(cache, name).close()
    assert names_in(cache) == {"b", "c"}


def test_makers_share_the_limit(cache: CacheFolder) -> None:
    """Entries on their way count: eight at once never take more than the limit."""
    most = []

    def fill(place: Path) -> None:
        (place / "file").write_bytes(b"x" * 40)
        most.append(sum(path.stat().st_size for path in cache.folder.glob("*/file")))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: cache.held(str(number), 40, fill).close(), range(8)))
    assert len(most) == 8
    assert max(most) <= 100
