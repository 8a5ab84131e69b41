"""Variants are drawn once for all windows, within the bounds of training, and recolored as training does it."""

import keras
import numpy as np
import pytest

from inference.engines.averaged import Averaged
from inference.engines.variants import Variant, Variants
from preprocessing.recipe import Augmentation, Recipe
from tests.inference.engines.test_orientations_are_averaged import Corners
from training.augmentation import PatchAugmentation

DRAWN = Variants(count=60, seed=3, orientations=8, brightness=0.25, contrast=0.75)


def pixels(count: int, seed: int = 1) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (2, count, 9, 9, 3), np.uint8))


def test_the_window_itself_is_first_and_the_draws_fill_their_bounds() -> None:
    window, *others = DRAWN.forms()
    drawn = [form for form in others if isinstance(form, Variant)]
    assert len(drawn) == len(others) == 59
    images = pixels(3)
    for got, given in zip(window(images), images, strict=True):
        np.testing.assert_array_equal(got, given)
    assert len({form.orientation for form in drawn}) == 8
    for values, bound in (([form.brightness for form in drawn], 0.25), ([form.contrast for form in drawn], 0.75)):
        assert bound >= max(values) > 0.8 * bound
        assert -bound <= min(values) < -0.8 * bound


def test_draws_depend_on_the_seed_alone() -> None:
    assert DRAWN.forms() == DRAWN.forms()
    assert Variants(10, 3, 8, 0.25, 0.75).forms() == DRAWN.forms()[:10]
    assert Variants(10, 4, 8, 0.25, 0.75).forms() != DRAWN.forms()[:10]


@pytest.mark.parametrize(
    ("seen", "kinds"),
    [
        ({"orientations": True}, 8),
        ({"orientations": False, "flips": True}, 4),
        ({"orientations": False, "flips": True, "rotation": 180}, 8),
        ({"orientations": False, "rotation": 25}, 1),
    ],
)
def test_only_what_training_turned_is_turned(sparse: Recipe, seen: dict[str, object], kinds: int) -> None:
    trained = sparse.training.model_copy(update={"augmentation": Augmentation.model_validate(seen)})
    settings = sparse.inference.model_copy(update={"variants": 200})
    forms = Variants.of(sparse.model_copy(update={"training": trained, "inference": settings})).forms()
    assert len(forms) == 200
    assert len({form.orientation for form in forms if isinstance(form, Variant)}) == kinds


@pytest.mark.parametrize("number", range(1, 8))
def test_colors_are_those_of_the_layer_that_trains(number: int) -> None:
    form = DRAWN.forms()[number]
    assert isinstance(form, Variant)
    layer = PatchAugmentation(orientations=False, brightness=abs(form.brightness), contrast=abs(form.contrast))
    signs = [keras.ops.full((4, 1, 1, 1), np.sign(value)) for value in (form.brightness, form.contrast)]
    images = pixels(4)
    for got, turned in zip(form(images), form.orientation(images), strict=True):
        wanted = layer._recolored(keras.ops.cast(turned, "float32"), signs[0], 0.0, 0.0, signs[1])
        assert got.dtype == np.uint8
        assert got.flags.c_contiguous
        np.testing.assert_allclose(got, np.asarray(wanted), atol=0.51)


def test_the_answer_is_the_mean_over_the_variants() -> None:
    images, forms = pixels(5), DRAWN.forms()[:6]
    one_by_one = [[Corners().judge(form([scale[[k]] for scale in images]))[0] for form in forms] for k in range(5)]
    batches = [[scale[:3] for scale in images], [scale[3:] for scale in images]]
    np.testing.assert_allclose(Averaged(Corners(), forms).predict(batches), np.mean(one_by_one, axis=1), rtol=1e-5)
