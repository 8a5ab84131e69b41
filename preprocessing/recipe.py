"""What a recipe may say: the typed settings of tiling, training and inference.

A recipe is data. It is read and written by `recipe_file`, and only the `tiling` part with the seed shapes
the rows of a patch table (`Recipe.recipe_id`).
"""

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Pixels = Annotated[int, Field(gt=0)]


class Settings(BaseModel):
    """A group of settings: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Scale(Settings):
    """One magnification at which a patch is stored.

    Attributes:
        level: pyramid level, 0 is the finest.
    """

    level: int = Field(ge=0)


class Tissue(Settings):
    """Which normal positions count as tissue.

    Attributes:
        method: `gray`, a pixel is tissue when its gray level is at most `max_gray`.
        max_gray: share of white, 0 to 1.
        min_fraction: a normal patch is a candidate when more than this share of its scale-0 window is tissue.
    """

    method: Literal["gray"] = "gray"
    max_gray: Fraction = 0.8
    min_fraction: Fraction = 0.75


class Labels(Settings):
    """How a patch gets its label from the annotation.

    Attributes:
        source: which annotation counts where a slide has both.
        rule: `any`, one annotated pixel in the center is enough; `fraction`, at least `min_fraction` of it.
        min_fraction: share of the center, for the rule `fraction`.
        normal_slides: patterns (shell style) of slide ids known to hold no tumor. A slide that has no annotation
            and matches none stays unlabeled: it is never taken for normal.
    """

    source: Literal["polygons", "mask"] = "polygons"
    rule: Literal["any", "fraction"] = "any"
    min_fraction: Fraction | None = None
    normal_slides: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fraction_goes_with_its_rule(self) -> Self:
        if (self.rule == "fraction") != (self.min_fraction is not None):
            raise ValueError("min_fraction is needed with rule 'fraction', and only with it")
        return self


class Sampling(Settings):
    """How many patches are kept: all tumor patches, and normals by the lowest patch_id.

    Attributes:
        normals_per_tumor: normals kept per tumor patch of the same slide.
        from_slides_without_tumor: patches kept of a slide on which no patch is positive.
    """

    normals_per_tumor: float = Field(default=1.0, ge=0)
    from_slides_without_tumor: int = Field(default=1000, ge=0)


class Image(Settings):
    """How the pixels of a patch are stored.

    Attributes:
        format: `jpeg`, or `png` (lossless, about five times slower to train from).
        quality: JPEG quality.
        subsampling: chroma of the JPEG; `444` keeps the full color resolution of the stain.
    """

    format: Literal["jpeg", "png"] = "jpeg"
    quality: int = Field(default=90, ge=1, le=100)
    subsampling: Literal["444", "422", "420"] = "444"


class Splits(Settings):
    """Which slides are kept from training; a manifest's `split` column goes before.

    Attributes:
        validation, test: patterns (shell style) of slide ids.
        validation_fraction: share of the remaining patients drawn for validation by stable hash.
    """

    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    validation_fraction: Fraction = 0.0


class Tiling(Settings):
    """What to cut.

    Attributes:
        scales: magnifications, finest first; scale 0 carries grid, tissue and labels.
        window: side of a patch at every scale, pixels.
        center: side of the middle square that decides the label, scale-0 pixels.
        stride: step of the grid, scale-0 pixels.
        offset: first grid position, scale-0 pixels.
        block: side of the square read at once, scale-0 pixels.
        blocks_per_shard: blocks per unit of work; one unit writes one file per label.
    """

    scales: tuple[Scale, ...] = Field(min_length=1)
    window: Pixels
    center: Pixels
    stride: Pixels
    offset: int = Field(default=0, ge=0)
    block: Pixels = 2048
    blocks_per_shard: Pixels = 8
    tissue: Tissue = Tissue()
    labels: Labels = Labels()
    sampling: Sampling = Sampling()
    image: Image = Image()
    splits: Splits = Splits()

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.center > self.window:
            raise ValueError(f"center ({self.center} px) is larger than window ({self.window} px)")
        if self.window % 2 != self.center % 2:
            raise ValueError(f"window ({self.window} px) and center ({self.center} px) must both be even or both odd")
        if self.block < max(self.window, self.stride):
            raise ValueError(f"block ({self.block} px) must be at least as large as window and stride")
        levels = [scale.level for scale in self.scales]
        if levels != sorted(set(levels)):
            raise ValueError(f"scales must be distinct and go from fine to coarse, not levels {levels}")
        return self


class Augmentation(Settings):
    """Random changes of training patches; color as in Liu et al. 2017 (arXiv 1703.02442).

    Attributes:
        orientations: turn by multiples of 90 degrees and mirror.
        brightness: largest shift, share of the full range.
        saturation, contrast: largest relative change.
        hue: largest shift, share of the color circle.
    """

    orientations: bool = True
    brightness: float = Field(default=64 / 255, ge=0)
    saturation: Fraction = 0.25
    hue: float = Field(default=0.04, ge=0, le=0.5)
    contrast: Fraction = 0.75


class Training(Settings):
    """How to train.

    Attributes:
        weights: `imagenet` (downloaded by Keras), `none` (random), or the path of a weights file.
        trainable_from: index of the first backbone layer that is trained; the layers before it are frozen.
        batch_norm_momentum: how slowly the running statistics follow; 0.99 suits long runs and ImageNet weights.
        freeze_batch_norm: use the stored statistics in training, too, which makes replicas exchangeable.
        epochs: passes over the training split.
        batch_size: patches per step over all replicas together.
        learning_rate: of Adam.
        shuffle_rows: size of the shuffle buffer, rows of encoded patches.
        reader_workers: petastorm threads; 1 gives a reproducible order.
        augmentation: random changes of training patches.
    """

    weights: str = "imagenet"
    trainable_from: int = Field(default=150, ge=0)
    batch_norm_momentum: float = Field(default=0.99, gt=0, lt=1)
    freeze_batch_norm: bool = False
    epochs: int = Field(default=10, gt=0)
    batch_size: int = Field(default=32, gt=0)
    learning_rate: float = Field(default=1e-4, gt=0)
    shuffle_rows: int = Field(default=4096, gt=0)
    reader_workers: int = Field(default=1, gt=0)
    augmentation: Augmentation = Augmentation()


class Inference(Settings):
    """How to run a model over slides.

    Attributes:
        stride: step of the prediction grid, scale-0 pixels.
        min_tissue: a window is predicted when more than this share of it is tissue.
        batch_size: patches per call of the model.
        threshold: probability from which a position counts as tumor.
        lesion_radius: radius cleared around a found lesion, level-0 pixels (Liu et al.: 6 heatmap pixels of 128).
    """

    stride: Pixels
    min_tissue: Fraction = 0.2
    batch_size: int = Field(default=128, gt=0)
    threshold: Fraction = 0.5
    lesion_radius: Pixels = 768


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

    @property
    def recipe_id(self) -> str:
        """Short hash of everything that shapes a row of the patch table: 12 hexadecimal digits."""
        shaping = {"seed": self.seed, "tiling": self.tiling.model_dump(mode="json")}
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:12]
