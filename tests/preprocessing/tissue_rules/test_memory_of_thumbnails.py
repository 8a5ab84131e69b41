"""What the rules hold per pixel of a large thumbnail, as their docs state it."""

import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np

from preprocessing.tissue_rules.otsu import otsu_tissue_of_strips
from preprocessing.tissue_rules.quality import usable
from tests.preprocessing.tissue import scenes

_STRIPS_MB = 10  # of whatever size the thumbnail is


def peak_mb(work: Callable[[], object]) -> float:
    """The most that was held at a time beyond what was held before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def test_otsu_takes_2_bytes_a_pixel_of_any_thumbnail() -> None:
    tile = np.tile(scenes.slide(), (1, 8, 1))

    def parts(count: int) -> Iterator[np.ndarray]:
        for _ in range(count):
            yield tile

    for count in (1, 8):
        shape = (600 * count, 4000)
        peak = peak_mb(lambda shape=shape, count=count: otsu_tissue_of_strips(shape, parts(count), scenes.MPP))
        assert peak < 2.1 * shape[0] * shape[1] / 1e6 + _STRIPS_MB


def test_quality_takes_4_bytes_a_pixel_beside_the_thumbnail() -> None:
    marked = scenes.slide()
    cover = scenes.stroke([(40, 60), (250, 300), (460, 560)], 30)
    marked = scenes.absorb(marked, cover[..., None] * scenes.INKS["blue"])
    marked[scenes.cross((60, 80))] = (28, 19, 25)
    thumbnail = np.tile(marked, (6, 6, 1))
    peak = peak_mb(lambda: usable(thumbnail, scenes.MPP))
    assert peak < 4.2 * thumbnail.shape[0] * thumbnail.shape[1] / 1e6 + _STRIPS_MB
