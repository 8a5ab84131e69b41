"""The models: one Inception V3 tower per scale, joined to one tumor probability (Liu et al. 2017)."""

import warnings
from pathlib import Path
from typing import Final

import keras

from cluster.errors import UsageError
from preprocessing.recipe import Recipe, Training
from training.augmentation import PatchAugmentation
from training.weights import REMEDY, local_weights

OUTPUT: Final = "tumor_probability"
SMALLEST_WINDOW: Final = 75  # pixels; Inception V3 halves the image five times


def core_model(scales: int, window: int, training: Training) -> keras.Model:
    """The model that is saved and used: built-in layers alone, so that it loads anywhere in safe mode.

    Args:
        scales: number of magnifications.
        window: side of a patch, pixels.
        training: first weights, and what is trained.

    Returns:
        A model from `{"scale_0": (b, window, window, 3), …}`, values 0 to 255, to `(b, 1)` float32. Its towers
        are the layers `tower_0`, …; they share no weights.

    Raises:
        UsageError: the window is too small, or the weights are missing or of another network.
    """
    if window < SMALLEST_WINDOW:
        raise UsageError(f"tiling.window is {window} px, Inception V3 needs at least {SMALLEST_WINDOW}: tile again")
    inputs = {f"scale_{scale}": keras.Input((window, window, 3), name=f"scale_{scale}") for scale in range(scales)}
    weights = local_weights(training.weights)
    features = []
    for scale, (name, pixels) in enumerate(inputs.items()):
        centered = keras.layers.Rescaling(1 / 127.5, offset=-1, name=f"centered_{name}")(pixels)
        features.append(_tower(f"tower_{scale}", window, training, weights)(centered))
    joined = keras.layers.Concatenate(name="features")(features) if scales > 1 else features[0]
    probability = keras.layers.Dense(1, activation="sigmoid", dtype="float32", name=OUTPUT)(joined)
    return keras.Model(inputs, probability, name="histospark")


def training_model(core: keras.Model, recipe: Recipe) -> keras.Model:
    """The model that is trained: augmentation before the core, whose weights it shares.

    Args:
        core: see `core_model`.
        recipe: bounds of the augmentation, and the seed.
    """
    inputs = {name: keras.Input(tensor.shape[1:], name=name) for name, tensor in core.input.items()}
    augmentation = PatchAugmentation(**recipe.training.augmentation.model_dump(), seed=recipe.seed, name="augmentation")
    changed = augmentation(list(inputs.values()))
    return keras.Model(inputs, core(dict(zip(inputs, changed, strict=True))), name="training")


def _tower(name: str, window: int, training: Training, weights: Path | None) -> keras.Model:
    tower = keras.applications.InceptionV3(
        include_top=False, weights=None, input_shape=(window, window, 3), pooling="avg", name=name
    )
    if weights is not None:
        _load(tower, weights)
    for index, layer in enumerate(tower.layers):
        normalizes = isinstance(layer, keras.layers.BatchNormalization)
        # A frozen batch norm also uses its stored statistics in training.
        layer.trainable = index >= training.trainable_from and not (normalizes and training.freeze_batch_norm)
        if normalizes:
            layer.momentum = training.batch_norm_momentum
    return tower


def _load(tower: keras.Model, weights: Path) -> None:
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that it finds no weights for, and leaves them random.
            warnings.simplefilter("error", UserWarning)
            tower.load_weights(weights)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"training.weights: {weights} does not hold Inception V3 without its top ({reason}); {REMEDY}"
        ) from error
