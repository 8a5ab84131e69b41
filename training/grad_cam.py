"""Where a model looked: class-activation heatmaps of each tower (Grad-CAM, Selvaraju et al. 2017, arXiv 1610.02391).

A heatmap is what is positive of the channels of a late feature map, summed with their mean gradients as weights. The
gradient is that of the score before the last activation: a saturated sigmoid or softmax has none. Towers are explained
apart, each at the last layer whose map has at least `SMALLEST_MAP` places a side, since the last map of all may have
a single place (Inception V3 at 80 px); a layer that others bypass is not taken, because it holds a part only.

Where average pooling and the dense layer follow the map, this is CAM (Zhou et al. 2016) over the places of the map.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from cluster.errors import JobError
from training.head import HEAD_LAYERS

SMALLEST_MAP: Final = 5  # places a side; fewer say nothing of where
_BATCH: Final = 8  # patches explained at a time, which bounds what the tape holds


@dataclass(frozen=True)
class Explained:
    """The heatmaps of one scale.

    Attributes:
        tower, layer: whose map it is, by name.
        heatmaps: (n, height, width) float32, not negative; all 0 where nothing speaks for the class.
    """

    tower: str
    layer: str
    heatmaps: NDArray[np.float32]


@dataclass(frozen=True)
class _Probe:
    """A tower that tells the map, too."""

    tower: str
    layer: str
    model: keras.Model


@dataclass(frozen=True)
class _Head:
    """What follows the towers: all up to the last layer, None where that is nothing, and the last layer."""

    hidden: keras.Model | None
    last: keras.layers.Dense


def grad_cam(core: keras.Model, images: Sequence[NDArray[np.uint8]], classes: NDArray[np.int64]) -> list[Explained]:
    """Explain the score of one class of each patch.

    Args:
        core: see `models.core_model`.
        images: one (n, window, window, 3) array per scale.
        classes: (n,) whose score is explained; of a model with one output, class 0 has the opposite score.

    Returns:
        One entry per scale. Memory: the activations of `_BATCH` patches, beside the result.

    Raises:
        JobError: the model is none of `models.core_model`.
    """
    scales = range(len(images))
    try:
        names = [f"scale_{scale}" for scale in scales]
        centered = keras.Model(core.input, {name: core.get_layer(f"centered_{name}").output for name in names})
        towers = [_tower(core, scale) for scale in scales]
        head = _head(core)
    except (ValueError, IndexError) as error:
        raise JobError(f"this model's towers cannot be told apart, so it has no heatmaps: {error}") from error
    probes = [_Probe(tower.name, layer, _with_map(tower, layer)) for tower, layer in towers]
    parts = []
    for mine in _batches(len(classes)):
        pixels = centered({name: image[mine] for name, image in zip(names, images, strict=True)})
        parts.append(_weighted_maps([pixels[name] for name in names], probes, head, classes[mine]))
    return [
        Explained(probe.tower, probe.layer, np.concatenate([part[scale] for part in parts]))
        for scale, probe in enumerate(probes)
    ]


def map_layer(tower: keras.Model) -> str:
    """Name of the layer of a tower at which it is explained, see the module's text."""
    places = {id(tensor): place for place, operation in enumerate(tower.operations) for tensor in _made(operation)}
    # Up to which place what was made before is used: a layer that nothing reaches past holds all that follows needs.
    reach = [0] * len(tower.operations)
    for place, operation in enumerate(tower.operations):
        for tensor in [] if place == 0 else keras.tree.flatten(operation.input):
            maker = places[id(tensor)]
            reach[maker] = max(reach[maker], place)
    sides = {}
    furthest = 0
    for place, operation in enumerate(tower.operations):
        shape = _made(operation)[0].shape
        padded = isinstance(operation, keras.layers.ZeroPadding2D)  # larger without seeing more
        if place > 0 and furthest <= place and len(shape) == 4 and not padded:
            sides[operation.name] = min(shape[1], shape[2])
        furthest = max(furthest, reach[place])
    if not sides:
        raise ValueError(f"{tower.name} has no feature maps")
    enough = min(SMALLEST_MAP, max(sides.values()))
    return [name for name, side in sides.items() if side >= enough][-1]


def _weighted_maps(
    centered: list[Any], probes: Sequence[_Probe], head: _Head, classes: NDArray[np.int64]
) -> list[NDArray[np.float32]]:
    with tf.GradientTape() as tape:
        tape.watch(centered)  # a frozen tower has no variables that are watched by themselves
        passed = [probe.model(pixels, training=False) for probe, pixels in zip(probes, centered, strict=True)]
        features = ops.concatenate([ops.cast(vector, "float32") for _, vector in passed], axis=-1)
        score = ops.sum(_scores(features, head, classes))
    maps = [feature_map for feature_map, _ in passed]
    return [_heatmap(*pair) for pair in zip(maps, tape.gradient(score, maps), strict=True)]


def _scores(features: Any, head: _Head, classes: NDArray[np.int64]) -> Any:
    last = head.last
    hidden = features if head.hidden is None else head.hidden(features, training=False)
    scores = ops.matmul(hidden, last.kernel) + (0.0 if last.bias is None else last.bias)
    if scores.shape[-1] == 1:
        return scores[:, 0] * ops.convert_to_tensor(np.where(classes == 1, 1.0, -1.0), "float32")
    return ops.take_along_axis(scores, ops.convert_to_tensor(classes)[:, None], axis=1)[:, 0]


def _heatmap(feature_map: Any, gradient: Any) -> NDArray[np.float32]:
    weights = ops.mean(ops.cast(gradient, "float32"), axis=(1, 2), keepdims=True)
    return np.asarray(ops.relu(ops.sum(weights * ops.cast(feature_map, "float32"), axis=-1)))


def _tower(core: keras.Model, scale: int) -> tuple[keras.Model, str]:
    towers: Mapping[str, keras.Model] = {it.name: it for it in core.layers if isinstance(it, keras.Model)}
    tower = towers.get(f"tower_{scale if len(towers) > 1 else 0}")
    if tower is None:
        raise ValueError(f"there is no layer tower_{scale}")
    return tower, map_layer(tower)


def _head(core: keras.Model) -> _Head:
    last = [layer for layer in core.layers if isinstance(layer, keras.layers.Dense)][-1]
    between = [layer for layer in core.layers if layer.name.startswith(HEAD_LAYERS)]
    return _Head(keras.Model(between[0].input, last.input) if between else None, last)


def _with_map(tower: keras.Model, layer: str) -> keras.Model:
    operation = next(it for it in tower.operations if it.name == layer)
    return keras.Model(tower.inputs, [operation.output, tower.outputs[0]])


def _made(operation: Any) -> list[Any]:
    return list(keras.tree.flatten(operation.output))


def _batches(patches: int) -> Iterator[slice]:
    return (slice(start, start + _BATCH) for start in range(0, patches, _BATCH))
