"""A bounded store of what was costly to make, shared by threads."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """Keeps the values used last. Threads that want the same one at once wait for one of them to make it.

    Memory: values of `limit` together, and those that threads still hold.

    Args:
        limit: sum of the weights of what is kept; one value more than that is never refused, only soon forgotten.
        weigh: weight of a value, in the unit of the limit; by default each counts one.
    """

    def __init__(self, limit: int, weigh: Callable[[Value], int] = lambda _: 1) -> None:
        self._limit, self._weigh = limit, weigh
        self._values: OrderedDict[Key, Future[Value]] = OrderedDict()
        self._weights: dict[Key, int] = {}
        self._lock = Lock()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key, made where it is not kept; what `make` raises is raised to all who wait, and not kept."""
        with self._lock:
            future = self._values.get(key)
            if future is not None:
                self._values.move_to_end(key)
        return self._made(key, make) if future is None else future.result()

    def _made(self, key: Key, make: Callable[[], Value]) -> Value:
        future: Future[Value] = Future()
        with self._lock:
            earlier = self._values.setdefault(key, future)
        if earlier is not future:  # another thread was quicker
            return earlier.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._values[key]
            future.set_exception(error)
            raise
        future.set_result(value)
        with self._lock:
            self._weights[key] = self._weigh(value)
            self._forget()
        return value

    def _forget(self) -> None:
        """Drop the values not used for longest; those still being made have no weight yet and stay."""
        for key in [key for key in self._values if key in self._weights]:
            if sum(self._weights.values()) <= self._limit:
                return
            del self._values[key], self._weights[key]
