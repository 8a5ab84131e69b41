"""Where a model looked: class-activation heatmaps of each tower (Grad-CAM, Selvaraju et al. 2017, arXiv 1610.02391).

A heatmap is what is positive of the channels of a late feature map, summed with their mean gradients as weights. The
gradient is that of the score before the last activation: a saturated sigmoid or softmax has none. Towers are explained
apart, each at the last layer whose map has at least `SMALLEST_MAP` places a side, since the last map of all may have
a single place (Inception V3 at 80 px); a layer that others bypass is not taken, because it holds a part only. Where
residual blocks follow a tower and have maps of that size, theirs is taken.

Where average pooling and the dense layer follow the map, this is CAM (Zhou et al. 2016) over the places of the map.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from cluster.errors import JobError
from training.backbones import TOWER
from training.head import HEAD_LAYERS
from training.models import CROPPED
from training.residual_blocks import BLOCKS

SMALLEST_MAP: Final = 5  # places a side; fewer say nothing of where
_FRAME: Final = 128  # places a side of a heatmap that is set into a frame
_BATCH: Final = 8  # patches explained at a time, which bounds what the tape holds
_PIXELS: Final = _BATCH * 320**2  # of one scale at a time, so that whole images go one by one


@dataclass(frozen=True)
class Explained:
    """The heatmaps of one scale.

    Attributes:
        tower, layer: whose map it is, by name.
        heatmaps: (n, height, width) float32, not negative; all 0 where nothing speaks for the class. They are of the
            whole patch: where a tower looks at its middle alone, there is a frame of 0 around.
    """

    tower: str
    layer: str
    heatmaps: NDArray[np.float32]


@dataclass(frozen=True)
class _Probe:
    """A tower, with its blocks if any, that tells the map, too."""

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
        One entry per scale. Memory: the activations of `_BATCH` patches, or of `_PIXELS`, beside the result.

    Raises:
        JobError: the model is none of `models.core_model`.
    """
    scales = range(len(images))
    try:
        names = [f"scale_{scale}" for scale in scales]
        centered = keras.Model(core.input, {name: core.get_layer(f"centered_{name}").output for name in names})
        probes = [_probe(core, scale) for scale in scales]
        head = _head(core)
    except (ValueError, IndexError) as error:
        raise JobError(f"this model's towers cannot be told apart, so it has no heatmaps: {error}") from error
    parts = []
    for mine in _batches(len(classes), images[0].shape[1] ** 2):
        pixels = centered({name: image[mine] for name, image in zip(names, images, strict=True)})
        parts.append(_weighted_maps([pixels[name] for name in names], probes, head, classes[mine]))
    return [
        Explained(probe.tower, probe.layer, _framed(core, scale, np.concatenate([part[scale] for part in parts])))
        for scale, probe in enumerate(probes)
    ]


def map_layer(tower: keras.Model) -> str:
    """Name of the layer of a tower at which it is explained, see the module's text."""
    sides = _sides(tower)
    if not sides:
        raise ValueError(f"{tower.name} has no feature maps")
    enough = min(SMALLEST_MAP, max(sides.values()))
    return [name for name, side in sides.items() if side >= enough][-1]


def _sides(tower: keras.Model) -> dict[str, int]:
    """The smaller side of the map of each layer that the whole tower passes through, in their order."""
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
    return sides


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


def _probe(core: keras.Model, scale: int) -> _Probe:
    tower, blocks = (_numbered(core, kind, scale) for kind in (TOWER, BLOCKS))
    if tower is None:
        raise ValueError(f"there is no layer {TOWER}{scale}")
    if blocks is None:
        return _Probe(tower.name, layer := map_layer(tower), _with_map(tower, layer))
    if max(_sides(blocks).values()) >= SMALLEST_MAP:
        layer = map_layer(blocks)
        return _Probe(blocks.name, layer, keras.Model(tower.inputs, _with_map(blocks, layer)(tower.outputs[0])))
    feature_map, last = _with_map(tower, layer := map_layer(tower)).outputs
    return _Probe(tower.name, layer, keras.Model(tower.inputs, [feature_map, blocks(last)]))


def _numbered(core: keras.Model, kind: str, scale: int) -> keras.Model | None:
    """A part that each scale has, or all share."""
    parts = {it.name: it for it in core.layers if it.name.startswith(kind)}
    return parts.get(f"{kind}{scale if len(parts) > 1 else 0}")


def _framed(core: keras.Model, scale: int, heatmaps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Heatmaps of what a tower looks at as heatmaps of the patch, of at most `_FRAME` places a side."""
    crop = next((it for it in core.layers if it.name == f"{CROPPED}scale_{scale}"), None)
    if crop is None:
        return heatmaps
    for axis, (first, window) in enumerate(zip(crop.cropping, crop.input.shape[1:3], strict=True), 1):
        pixels = (np.arange(size := min(window, _FRAME)) + 0.5) * window / size
        places = (pixels - first[0]) / (window - sum(first)) * heatmaps.shape[axis]
        inside = (places >= 0) & (places < heatmaps.shape[axis])
        shape = [-1 if it == axis else 1 for it in range(3)]
        heatmaps = heatmaps.take(places.astype(np.int64), axis, mode="clip") * inside.reshape(shape)
    return heatmaps


def _head(core: keras.Model) -> _Head:
    last = [layer for layer in core.layers if isinstance(layer, keras.layers.Dense)][-1]
    between = [layer for layer in core.layers if layer.name.startswith(HEAD_LAYERS)]
    return _Head(keras.Model(between[0].input, last.input) if between else None, last)


def _with_map(tower: keras.Model, layer: str) -> keras.Model:
    operation = next(it for it in tower.operations if it.name == layer)
    return keras.Model(tower.inputs, [operation.output, tower.outputs[0]])


def _made(operation: Any) -> list[Any]:
    return list(keras.tree.flatten(operation.output))


def _batches(patches: int, pixels: int) -> Iterator[slice]:
    size = min(_BATCH, max(1, _PIXELS // pixels))
    return (slice(start, start + size) for start in range(0, patches, size))
