"""What a recipe may say of inference: how a model is run over slides, and what is made of its probabilities."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from preprocessing.basic_settings import Fraction, Pixels, Settings


class Suppression(Settings):
    """A lesion is a local maximum above the threshold, by non-maximum suppression (Liu et al. 2017)."""

    kind: Literal["suppression"] = "suppression"


class Clusters(Settings):
    """A lesion is a cluster of windows from the threshold on, by DBSCAN, as in deep-histopath.

    Attributes:
        windows: a window with at least so many within the radius, itself counted, is the core of a cluster.
        probability: a cluster whose mean probability is lower is no lesion.
    """

    kind: Literal["clusters"] = "clusters"
    windows: int = Field(default=2, gt=0)
    probability: Fraction = 0.59


Lesions = Annotated[Suppression | Clusters, Field(discriminator="kind")]


class Inference(Settings):
    """How to run a model over slides.

    Attributes:
        stride: step of the prediction grid, scale-0 pixels.
        min_tissue: a window is predicted when more than this share of it is tissue.
        batch_size: patches per call of the model.
        threshold: probability from which a position counts as tumor.
        lesions: how windows become lesions.
        lesion_radius: level-0 pixels; for `suppression` the radius cleared around a found lesion (Liu et al.: 6 heatmap
            pixels of 128), for `clusters` the farthest that two neighbors of a cluster are apart.
        hit_radius: a lesion this near to a marked point has found it, level-0 pixels; for `evaluate`.
        slide_score: of the probabilities of a slide's cells.
        engine: what computes: `openvino` or `onnx` (the exported forms), or `keras`; `auto` takes Keras where Spark
            gave the task a GPU, else OpenVINO, else Keras.
        precision: of OpenVINO's arithmetic; `auto` takes bfloat16 for the windows of which it is sure, by a probe.
        tolerance: largest difference of a probability between bfloat16 and float32 that is still agreement.
        orientations: 8 averages each window over its turned and mirrored forms (Liu et al. 2017), 4 over its mirrored
            ones (Shen et al. 2019), 1 takes it as it is.
        variants: each window is averaged over so many forms of it, turned and recolored at random within the bounds of
            `training.augmentation`, the first one as it is: deep-histopath's marginalization over noise.
        overlap: the probability of a cell of the heatmap: `center`, of the window around it alone; `mean`, of all
            windows over it, weighted by the area they share; `maximum`, the highest of them.
    """

    stride: Pixels
    min_tissue: Fraction = 0.2
    batch_size: int = Field(default=128, gt=0)
    threshold: Fraction = 0.5
    lesions: Lesions = Suppression()
    lesion_radius: Pixels = 768
    hit_radius: Pixels = 30
    slide_score: Literal["maximum", "mean"] = "maximum"
    engine: Literal["auto", "openvino", "onnx", "keras"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    tolerance: Fraction = 0.01
    orientations: Literal[1, 4, 8] = 1
    variants: Pixels = 1
    overlap: Literal["center", "mean", "maximum"] = "center"

    @model_validator(mode="after")
    def _one_way_to_average(self) -> Self:
        if self.variants > 1 and self.orientations > 1:
            raise ValueError("variants are turned, too: leave orientations at 1, or variants")
        return self
