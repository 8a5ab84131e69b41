"""The lab's store of costly things: bounded, and made once however many ask."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from inference.lab.kept import Kept


def test_the_values_used_last_are_kept() -> None:
    kept: Kept[str, int] = Kept(2)
    made = []

    def get(key: str) -> None:
        kept.get(key, lambda: made.append(key) or 0)  # type: ignore[func-returns-value]

    for key in "abacab":
        get(key)
    assert made == ["a", "b", "c", "b"]


def test_heavy_values_push_out_many_light_ones() -> None:
    kept: Kept[int, bytes] = Kept(10, len)
    made = []

    def get(key: int, size: int) -> bytes:
        return kept.get(key, lambda: made.append(key) or bytes(size))  # type: ignore[func-returns-value]

    for key in range(5):
        get(key, 2)
    get(5, 9)
    get(5, 9)
    assert len(get(6, 50)) == 50  # more than all: given, not kept
    get(6, 50)
    get(4, 2)
    assert made == [0, 1, 2, 3, 4, 5, 6, 6, 4]


def test_threads_that_want_the_same_wait_for_one() -> None:
    kept: Kept[str, int] = Kept(4)
    go, made = threading.Event(), []

    def make() -> int:
        go.wait(10)
        made.append(1)
        return 7

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(kept.get, "key", make) for _ in range(8)]
        go.set()
        assert [it.result() for it in asked] == [7] * 8
    assert made == [1]


def test_a_failure_reaches_all_and_is_tried_again() -> None:
    kept: Kept[str, int] = Kept(4)

    def fail() -> int:
        raise ValueError("broken")

    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            kept.get("key", fail)
    assert kept.get("key", lambda: 3) == 3
