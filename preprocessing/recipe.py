"""What a recipe may say: the typed settings of tiling, training and inference.

A recipe is data. It is read and written by `recipe_file`, and only the `tiling` part with the seed shapes
the rows of a patch table (`Recipe.recipe_id`).
"""

import hashlib
import json
from typing import Literal, Self

from pydantic import Field, model_validator

from preprocessing.basic_settings import Count, Fraction, NotNegative, Pixels, Positive, Settings
from preprocessing.inference_settings import Inference
from preprocessing.tiling_settings import Tiling
from preprocessing.training_settings import Block, EveryRow, RowSampling, Stage

Backbone = Literal["inception_v3", "resnet50", "mobilenet_v3_small", "small_resnet"]


class Augmentation(Settings):
    """Random changes of patches: color as in Liu et al. 2017 (arXiv 1703.02442), stain as in Tellez et al. 2018.

    Attributes:
        orientations: turn by multiples of 90 degrees and mirror.
        flips: mirror only, in x and in y; for images that have an upper side.
        rotation: largest turn by any angle, degrees; what comes in from outside the stored patch is its mirror image.
        zoom: largest relative change of the size, in x and y alike.
        jitter: most pixels of scale 0 by which a patch is moved, in x and in y; `tiling.margin` must hold them.
        brightness: largest shift, share of the full range.
        saturation, contrast: largest relative change.
        hue: largest shift, share of the color circle.
        stain: largest relative change of each stain, and largest shift of it in optical density (log10); 0 is off.
    """

    orientations: bool = True
    flips: bool = False
    rotation: float = Field(default=0, ge=0, le=180)
    zoom: float = Field(default=0, ge=0, le=0.5)
    jitter: Count = 0
    brightness: float = Field(default=64 / 255, ge=0)
    saturation: Fraction = 0.25
    hue: float = Field(default=0.04, ge=0, le=0.5)
    contrast: Fraction = 0.75
    stain: Fraction = 0

    @model_validator(mode="after")
    def _mirrored_once(self) -> Self:
        if self.orientations and self.flips:
            raise ValueError("orientations hold the flips: set one of the two")
        return self


class Training(Settings):
    """How to train.

    Attributes:
        backbone: network of the towers; `mobilenet_v3_small` is the quick one, for CPUs; `small_resnet` the second
            network of deep-histopath's mitoses.
        input_crop: height and width of the middle of a patch that a tower looks at, pixels; None: all of it.
        input_side: side to which patches are scaled (bilinear) before a tower looks at them, pixels; None: as they are.
        mean_color: red, green and blue that are taken off before `resnet50`, 0 to 255; None: ImageNet's.
        share_towers: one tower looks at all scales, instead of one tower per scale.
        blocks: of residual bottlenecks between a tower's last map and its pooling (Shen et al. 2019); they belong to
            the head.
        pooling: what is told of the last map: its mean, or `average_and_maximum`, as fastai's head has it, or all of it
            (`flatten`).
        hidden: sizes of dense layers between towers and the last layer, each after batch norm and dropout.
        dropout: share of values dropped before the last layer in training; half of it before hidden ones.
        weights: `imagenet` (downloaded by Keras), `none` (random), the path of a weights file, or that of a
            `.keras` model of the same backbone, whose tower is taken over.
        batch_norm_momentum: how slowly the running statistics follow; 0.99 suits long runs and ImageNet weights.
        freeze_batch_norm: use the stored statistics in training, too, which makes replicas exchangeable.
        synchronize_batch_norm: normalize by the whole batch, not by a replica's share of it.
        precision: of the arithmetic of towers and blocks; weights, head and loss stay float32. float16 scales its loss.
        xla: compile the step by XLA; one replica only.
        batch_size: patches per step over all replicas together.
        sampling: which rows make an epoch.
        class_weights: how much a row of each class counts in the training loss, class 0 first; `balanced` weighs
            all classes of the epoch alike, `none` all rows.
        shuffle_rows: size of the shuffle buffer, rows of encoded patches.
        reader_workers: petastorm threads; the order of rows does not depend on them.
        checkpoint_minutes: most work that a killed training loses; 0 writes a checkpoint after every step.
        augmentation: random changes of training patches.
        stages: what is trained, one stage after the other, each from where the one before it ended.
        target_sensitivity: what the second threshold of the report reaches on the validation split.
        exports: forms of the model that are written beside it, for engines without Keras.
    """

    backbone: Backbone = "inception_v3"
    input_crop: tuple[Pixels, Pixels] | None = None
    input_side: Pixels | None = None
    mean_color: tuple[NotNegative, NotNegative, NotNegative] | None = None
    share_towers: bool = False
    blocks: tuple[Block, ...] = ()
    pooling: Literal["average", "average_and_maximum", "flatten"] = "average"
    hidden: tuple[Pixels, ...] = ()
    dropout: float = Field(default=0.0, ge=0, lt=1)
    weights: str = "imagenet"
    batch_norm_momentum: float = Field(default=0.99, gt=0, lt=1)
    freeze_batch_norm: bool = False
    synchronize_batch_norm: bool = False
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    xla: bool = False
    batch_size: int = Field(default=32, gt=0)
    sampling: RowSampling = EveryRow()
    class_weights: Literal["none", "balanced"] | tuple[Positive, ...] = "none"
    shuffle_rows: int = Field(default=4096, gt=0)
    reader_workers: int = Field(default=1, gt=0)
    checkpoint_minutes: NotNegative = 10.0
    augmentation: Augmentation = Augmentation()
    stages: tuple[Stage, ...] = Field(default=(Stage(),), min_length=1)
    target_sensitivity: float = Field(default=0.95, gt=0, le=1)
    exports: tuple[Literal["openvino", "onnx"], ...] = ("openvino",)


class Refresh(Settings):
    """What `histospark refresh` does with new slides beside running the model.

    Attributes:
        tile: cut them into the patch table, too.
    """

    tile: bool = False


class Recipe(Settings):
    """A whole recipe.

    Attributes:
        name: for people.
        seed: of every random draw, in tiling and in training.
    """

    name: str
    seed: int = 1
    tiling: Tiling
    training: Training = Training()
    inference: Inference
    refresh: Refresh = Refresh()

    @model_validator(mode="after")
    def _jitter_has_its_margin(self) -> Self:
        jitter, margin = self.training.augmentation.jitter, self.tiling.margin
        if jitter > margin:
            raise ValueError(
                f"training.augmentation.jitter ({jitter} px) is more than the stored tiling.margin ({margin} px): "
                "lower it, or tile with a larger margin"
            )
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes by label."""
        return self.tiling.labels.names

    @property
    def recipe_id(self) -> str:
        """Short hash of everything that shapes a row of the patch table: 12 hexadecimal digits.

        What is at its default is left out, so that tables outlive new keys; a default must never change.
        """
        shaping = {"seed": self.seed, "tiling": self.tiling.model_dump(mode="json", exclude_defaults=True)}
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:12]
