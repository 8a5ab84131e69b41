"""Slides that lie on HDFS or S3, brought to this machine in the background: no page waits for one without a word."""

import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Final

from inference.lab.not_shown import NotShownError, without_places
from inference.lab.slide_image import SlideImage
from preprocessing.errors import SlideError
from preprocessing.readers.opening import file_state
from preprocessing.readers.staged import FileState

_STORES: Final = ("s3", "s3a", "hdfs", "viewfs")  # no others: a ledger sends the lab to no web server
_KEPT: Final = 2  # open slides: these are in use, and with one that comes a small cache has to hold them
_FETCHERS: Final = 2  # at once; the newest wish comes first, as a person has left the slides before
_WISHES: Final = 8
_LOOKS_ANEW: Final = 10.0  # seconds: each tile asks for the state of its slide, and a store is far away

_Key = tuple[str, FileState]


class BeingFetchedError(NotShownError):
    """A slide that is on its way to this machine."""


class RemoteSlides:
    """Open slides of other stores; threads may share it.

    Memory: two open slides, 200 bytes for each slide that was looked at. Their files are copies in the cache of this
    machine (see `cluster.local_copies`), which stay there while they are open, and as long as there is room.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._images: OrderedDict[_Key, Future[SlideImage]] = OrderedDict()
        self._wishes: OrderedDict[_Key, Callable[[], SlideImage]] = OrderedDict()
        self._fetchers = 0
        self._states: dict[str, tuple[float, FileState]] = {}

    def state(self, path: str) -> FileState:
        """Size of a slide, and what changes when it is written again; up to ten seconds old.

        Raises:
            NotShownError: it is not there, its store does not say, or the lab does not fetch from there.
        """
        store = path.partition("://")[0]
        if store not in _STORES:
            raise NotShownError(404, f"{_name(path)} lies on {store}, not on HDFS or S3; copy it, give --slides FOLDER")
        known = self._states.get(path)
        if known is not None and time.monotonic() - known[0] < _LOOKS_ANEW:
            return known[1]
        try:
            state = file_state(path)
        except SlideError as error:
            raise NotShownError(410, without_places(str(error), path)) from error
        if state is None:
            raise NotShownError(410, f"{_name(path)} is not where it was; if it moved, give --slides FOLDER")
        self._states[path] = time.monotonic(), state
        return state

    def image(self, path: str, fetch: Callable[[], SlideImage]) -> SlideImage:
        """The slide, open; where it is not here yet, it is on its way from now on.

        Args:
            path: URI of its file.
            fetch: copies and opens it; called in another thread.

        Raises:
            BeingFetchedError: it is not here yet.
            NotShownError: it is gone, or `fetch` failed; that is told once, and the next call tries again.
        """
        key = path, self.state(path)
        with self._lock:
            image = self._images.get(key)
            if image is None:
                self._wish(key, fetch)
            else:
                self._images.move_to_end(key)
        if image is None or not image.done():
            store, megabytes = path.partition("://")[0], key[1][0] / 1e6
            raise BeingFetchedError(
                503,
                f"{_name(path)} ({megabytes:,.1f} MB) is being fetched from {store}; it shows as soon as it is here",
            )
        try:
            return image.result()
        except BaseException:
            with self._lock:
                self._images.pop(key, None)
            raise

    def opened(self, path: str) -> SlideImage:
        """The slide, if it is here: a long list of small pictures is not worth all its slides.

        Raises:
            NotShownError: it is not.
        """
        key = path, self.state(path)
        with self._lock:
            image = self._images.get(key)
        if image is None or not image.done() or image.exception() is not None:
            raise NotShownError(404, f"{_name(path)} is not on this machine; open it to have it fetched")
        return image.result()

    def _wish(self, key: _Key, fetch: Callable[[], SlideImage]) -> None:
        """Have a slide fetched, before those wished for earlier; to be called with the lock."""
        self._wishes[key] = fetch
        self._wishes.move_to_end(key)
        if len(self._wishes) > _WISHES:
            self._wishes.popitem(last=False)  # whoever still waits for it asks again
        if self._fetchers < _FETCHERS:
            self._fetchers += 1
            # A daemon: Ctrl-C does not wait for a slide of gigabytes; of a copy cut short the cache keeps nothing.
            Thread(target=self._work, name="histospark-fetch", daemon=True).start()

    def _work(self) -> None:
        """Fetch what is wished for until nothing is."""
        while True:
            with self._lock:
                if not self._wishes:
                    self._fetchers -= 1
                    return
                key, fetch = self._wishes.popitem()
                image = self._images[key] = Future()
            try:
                image.set_result(fetch())
            except BaseException as error:  # whatever it is, it is raised to the one who asks
                image.set_exception(error)
            with self._lock:
                done = [key for key, other in self._images.items() if other.done()]
                for old in done[:-_KEPT]:
                    del self._images[old]
            del image, fetch  # else they would keep the slide open while there is nothing to do


def _name(path: str) -> str:
    return path.rpartition("/")[2]
