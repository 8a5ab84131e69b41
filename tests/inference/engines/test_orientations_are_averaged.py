"""The mean over the turns and mirrorings of a window, all scales turned alike."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from inference.engines.averaged import Averaged
from inference.engines.base import Images
from inference.engines.choice import EngineSpec
from inference.engines.orientations import ALL, FLIPS


class Corners:
    """Looks at corners, so that each orientation has another answer."""

    def predict(self, batches: Iterable[Images]) -> NDArray[np.float32]:
        return np.concatenate([self.judge(images) for images in batches])

    def judge(self, images: Images) -> NDArray[np.float32]:
        first, second = (scale.astype(np.float32) for scale in images)
        seen = first[:, 0, 0, 0] * 0.5 + first[:, 0, -1, 1] * 0.3 + second[:, 0, 0, 2] * 0.7 * first[:, 1, 0, 0] / 255
        return np.asarray(seen / 1000, np.float32)


def test_mean_of_eight_by_hand() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (2, 5, 9, 9, 3), np.uint8)
    expected = []
    for window in range(5):
        answers = []
        for mirrored in (False, True):
            for turns in range(4):
                scales = [pixels[scale, window] for scale in (0, 1)]
                scales = [np.fliplr(scale) if mirrored else scale for scale in scales]
                scales = [np.rot90(scale, turns) for scale in scales]
                answers.append(Corners().judge([scale[None] for scale in scales])[0])
        assert len({float(answer) for answer in answers}) == 8
        expected.append(np.mean(answers))
    got = Averaged(Corners(), ALL).predict([list(pixels[:, :3]), list(pixels[:, 3:])])
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_turned_window_gets_the_same_answer() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (2, 3, 9, 9, 3), np.uint8)
    judge = Averaged(Corners(), ALL)
    answers = [judge.predict([turn(list(pixels))]) for turn in ALL]
    assert len(answers) == 8
    np.testing.assert_allclose(answers, np.broadcast_to(answers[0], (8, 3)), rtol=1e-6)


def test_engines_get_whole_arrays() -> None:
    """Engines in C take memory as it lies."""
    pixels = np.random.default_rng(3).integers(0, 256, (1, 2, 9, 9, 3), np.uint8)
    assert all(scale.flags.c_contiguous for turn in ALL for scale in turn(list(pixels)))


def test_mean_of_four_is_that_of_the_flips() -> None:
    """Numpy's own flips: none, left to right, up to down, both."""
    pixels = np.random.default_rng(4).integers(0, 256, (2, 5, 9, 9, 3), np.uint8)
    axes: list[tuple[int, ...]] = [(), (2,), (1,), (1, 2)]
    answers = [Corners().judge([np.flip(scale, axis) for scale in pixels]) for axis in axes]
    got = Averaged(Corners(), FLIPS).predict([list(pixels[:, :2]), list(pixels[:, 2:])])
    np.testing.assert_allclose(got, np.mean(answers, axis=0), rtol=1e-5)


def test_the_label_tells_engine_and_precision() -> None:
    spec = EngineSpec("openvino", "m.xml", 8)
    assert [spec.in_precision("bfloat16").label, spec.label, EngineSpec("keras", "m.keras", 8).label] == [
        "openvino bfloat16",
        "openvino float32",
        "keras",
    ]
