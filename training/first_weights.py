"""Towers filled with their first weights: from a file of the backbone, or from the towers of a trained model."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import keras

from cluster.errors import UsageError
from training.backbones import BACKBONES, TOWER, Backbone
from training.weights import remedy

MODEL_SUFFIX: Final = ".keras"


def fill(towers: Sequence[keras.Model], file: Path, asked: str, backbone: Backbone) -> None:
    """Give towers their first weights.

    Args:
        towers: of the backbone, named `tower_0`, ….
        file: local; of a `.keras` model each tower takes over the one of its name, of any other weights all take these.
        asked: how the recipe names it.
        backbone: what the towers are.

    Raises:
        UsageError: the file holds something else.
    """
    if file.suffix == MODEL_SUFFIX:
        _take_over(towers, _towers_of(file, asked), asked, backbone)
        return
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that it finds no weights for, and leaves them random.
            warnings.simplefilter("error", UserWarning)
            for tower in towers:
                tower.load_weights(file)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"training.weights: {asked} does not hold {backbone.title} without its top ({reason}); "
            f"{remedy(backbone.imagenet)}"
        ) from error


def _towers_of(file: Path, asked: str) -> dict[str, keras.Model]:
    try:
        model = keras.saving.load_model(file, compile=False, safe_mode=True)
    except (ValueError, OSError, KeyError, TypeError) as error:  # no model, a damaged one, or one with code in it
        reason = str(error).splitlines()[0]
        raise UsageError(f"training.weights: {asked} is no model that can be loaded ({reason})") from error
    layers = {layer.name: layer for layer in getattr(model, "layers", []) if isinstance(layer, keras.Model)}
    towers = {name: layer for name, layer in layers.items() if name.startswith(TOWER)}
    if not towers:
        raise UsageError(f"training.weights: {asked} is no model of histospark train: it has no layer tower_0")
    return towers


def _take_over(towers: Sequence[keras.Model], found: dict[str, keras.Model], asked: str, backbone: Backbone) -> None:
    names = {layer.name for layer in next(iter(found.values())).layers}
    if backbone.landmark not in names:
        other = next((it.title for it in BACKBONES.values() if it.landmark in names), "another backbone")
        raise UsageError(
            f"training.weights: {asked} is a model of {other}, and training.backbone asks for {backbone.title}: "
            "change one of the two"
        )
    if sorted(found) != sorted(tower.name for tower in towers):
        raise UsageError(
            f"training.weights: {asked} has {_counted(len(found))}, and this recipe {_counted(len(towers))}: take a "
            "model of as many scales, or see to training.share_towers"
        )
    for tower in towers:
        given = found[tower.name]
        if [weight.shape for weight in given.weights] != [weight.shape for weight in tower.weights]:
            raise UsageError(
                f"training.weights: {tower.name} of {asked} has other layers or other input channels than this "
                f"recipe's {backbone.title}: take a model that was trained by this version"
            )
        tower.set_weights(given.get_weights())


def _counted(towers: int) -> str:
    return "1 tower" if towers == 1 else f"{towers} towers"
