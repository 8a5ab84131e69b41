"""What a recipe may say of tiling: scales, grid, tissue, labels, stain, draws, images and splits."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from preprocessing.basic_settings import Count, Fraction, Pixels, Settings
from preprocessing.placement_settings import OnGrid, Placement

Mpp = Annotated[float, Field(gt=0, lt=1000)]

TUMOR_GROUPS: Final = ("_0", "_1", "tumor", "metastases")
EXCLUDED_GROUPS: Final = ("_2", "exclusion", "none", "normal")


class Scale(Settings):
    """One magnification at which a patch is stored: a pyramid level, or a resolution.

    Attributes:
        level: pyramid level, 0 is the finest.
        mpp: micrometers per pixel.
    """

    level: Count | None = None
    mpp: Mpp | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.level is None) == (self.mpp is None):
            raise ValueError("a scale is given by level or by mpp, one of the two")
        return self


class Tissue(Settings):
    """Which normal positions count as tissue.

    Attributes:
        method: `gray`, every scale-0 pixel by itself (Liu et al. 2017); `otsu`, saturation of the thumbnail;
            `histopath`, the two tests of deep-histopath on every window; `bright`, every scale-0 pixel by itself, for
            images with a black background.
        quality: leave out what the thumbnail shows as blurred, as pen ink, or as edge of the glass.
        max_gray: for `gray`, share of white, 0 to 1.
        min_gray: for `bright`, share of white that a pixel of tissue exceeds.
        min_fraction: a normal patch is a candidate when more than this share of its scale-0 window is tissue.
    """

    method: Literal["gray", "otsu", "histopath", "bright"] = "gray"
    quality: bool = False
    max_gray: Fraction = 0.8
    min_gray: Fraction = 0.0
    min_fraction: Fraction = 0.75

    @property
    def needs_thumbnail(self) -> bool:
        """Whether anything is judged on the thumbnail."""
        return self.method == "otsu" or self.quality


class Labels(Settings):
    """How a patch gets its label from the annotation.

    Attributes:
        source: which annotation counts where a slide has both; or `slide`: all its patches have the label that the
            manifest gives it, and `classes` names all classes with the manifest's words for each, label 0 first.
        ordered: the classes are grades, lowest first; with the source `slide` only.
        rule: `any`, one annotated pixel in the center is enough; `fraction`, at least `min_fraction` of it.
        min_fraction: share of the center, for the rule `fraction`.
        classes: name of each positive class and its groups (ASAP) or classifications (QuPath), in any case; the
            first is label 1, the second label 2. In a mask of several classes the pixel is the label.
        excluded: groups that are cut out of all classes, applied last; points of such a group are hard negatives.
        normal_slides: patterns (shell style) of slide ids known to hold no tumor. A slide that has no annotation
            and matches none stays unlabeled: it is never taken for normal. Not for labels of slides.
    """

    source: Literal["polygons", "mask", "slide"] = "polygons"
    ordered: bool = False
    rule: Literal["any", "fraction"] = "any"
    min_fraction: Fraction | None = None
    classes: dict[str, tuple[str, ...]] = Field(default={"tumor": TUMOR_GROUPS}, min_length=1, max_length=255)
    excluded: tuple[str, ...] = EXCLUDED_GROUPS
    normal_slides: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fraction_goes_with_its_rule(self) -> Self:
        if (self.rule == "fraction") != (self.min_fraction is not None):
            raise ValueError("min_fraction is needed with rule 'fraction', and only with it")
        return self

    @model_validator(mode="after")
    def _labels_of_slides(self) -> Self:
        if self.source == "slide" and len(self.classes) < 2:
            raise ValueError("source 'slide' needs two classes or more, label 0 first, each with the manifest's words")
        if self.ordered and self.source != "slide":
            raise ValueError("ordered classes are those of whole slides: set source to 'slide'")
        if self.ordered and len(self.classes) < 3:
            raise ValueError("two classes are told by thresholds and AUC: ordered needs three or more")
        return self

    @model_validator(mode="after")
    def _no_group_twice(self) -> Self:
        cut_out = () if self.source == "slide" else self.excluded  # of drawings, not of the words of a manifest
        groups = [group.lower() for group in (*sum(self.classes.values(), ()), *cut_out)]
        twice = sorted({group for group in groups if groups.count(group) > 1})
        if twice:
            raise ValueError(f"group '{twice[0]}' stands in two places of classes and excluded")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes by label; where patches are labeled one by one, label 0 is `normal`."""
        return tuple(self.classes) if self.source == "slide" else ("normal", *self.classes)


class Stain(Settings):
    """Whether patches are brought to one stain, by a profile that is estimated once per slide.

    Attributes:
        method: `macenko` (Macenko et al. 2009) or `reinhard` (Reinhard et al. 2001).
    """

    method: Literal["none", "macenko", "reinhard"] = "none"


class Sampling(Settings):
    """How many patches are kept: all positive and all marked ones, and normals by the lowest patch_id.

    Where labels are those of slides, no label is the normal one: the two quotas alone thin, and all labels alike.

    Attributes:
        normals_per_tumor: normals kept per positive patch of the same slide; None keeps all.
        from_slides_without_tumor: patches kept of a slide on which no patch is positive; None keeps all.
        max_normals: quota of one slide, applied after the two above.
        max_normals_overall: quota of all slides together, shared out evenly among the slides of the inventory.
    """

    normals_per_tumor: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = 1.0
    from_slides_without_tumor: Count | None = 1000
    max_normals: Count | None = None
    max_normals_overall: Count | None = None

    @property
    def keeps_all(self) -> bool:
        """Whether every candidate is chosen, so that nothing has to be drawn."""
        limits = (self.normals_per_tumor, self.from_slides_without_tumor, self.max_normals, self.max_normals_overall)
        return all(limit is None for limit in limits)


class Image(Settings):
    """How the pixels of a patch are stored.

    Attributes:
        format: `jpeg`, or `png` (lossless, about five times slower to train from).
        quality: JPEG quality.
        subsampling: chroma of the JPEG; `444` keeps the full color resolution of the stain.
        copy_tiles: where windows are whole JPEG tiles of the slide, store these as they are, in the slide's own
            quality, without a second generation of loss.
    """

    format: Literal["jpeg", "png"] = "jpeg"
    quality: int = Field(default=90, ge=1, le=100)
    subsampling: Literal["444", "422", "420"] = "444"
    copy_tiles: bool = True


class Splits(Settings):
    """Which slides are kept from training; a manifest's `split` column goes before.

    Attributes:
        validation, test: patterns (shell style) of slide ids.
        validation_fraction, test_fraction: shares of the remaining patients, drawn by stable hash.
        stratified: draw the shares within each stratum (the manifest's `stratum`, else tumor, normal, unlabeled), which
            is exact but draws anew when patients come; else every patient by itself, which never moves a patient.
    """

    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    validation_fraction: Fraction = 0.0
    test_fraction: Fraction = 0.0
    stratified: bool = False

    @model_validator(mode="after")
    def _shares_leave_something(self) -> Self:
        if self.validation_fraction + self.test_fraction > 1:
            raise ValueError("validation_fraction and test_fraction are together more than all patients")
        return self


def _as_tuple(offset: Any) -> Any:
    return (offset,) if isinstance(offset, int) else offset


class Tiling(Settings):
    """What to cut.

    Attributes:
        scales: magnifications, finest first; scale 0 carries grid, tissue and labels.
        mpp: micrometers per level-0 pixel of slides of which neither manifest nor file says it.
        mpp_tolerance: a level this close (relative) to a wanted mpp is read as it is, not resampled.
        window: side of a patch at every scale, pixels.
        margin: pixels stored around the window at every scale, from which training moves its patches (position jitter).
        center: side of the middle square that decides the label, scale-0 pixels; where window and center are not both
            even or both odd, it lies half a pixel to the upper left of the middle.
        stride: step of the grid, scale-0 pixels.
        offset: first grid position, scale-0 pixels; several give several grids, one over the other.
        placement: where windows go.
        jitter: most pixels of scale 0 by which a position is moved off the grid, in x and in y, by stable hash.
        block: side of the square read at once, scale-0 pixels.
        blocks_per_shard: neighboring blocks per unit of work; one unit writes one file per label.
        stain: normalization of the stored pixels.
    """

    scales: tuple[Scale, ...] = Field(min_length=1)
    mpp: Mpp | None = None
    mpp_tolerance: Fraction = 0.05
    window: Pixels
    margin: Count = 0
    center: Pixels
    stride: Pixels
    offset: Annotated[tuple[Count, ...], BeforeValidator(_as_tuple), Field(min_length=1)] = (0,)
    placement: Placement = OnGrid(kind="grid")
    jitter: Count = 0
    block: Pixels = 2048
    blocks_per_shard: Pixels = 8
    tissue: Tissue = Tissue()
    labels: Labels = Labels()
    stain: Stain = Stain()
    sampling: Sampling = Sampling()
    image: Image = Image()
    splits: Splits = Splits()

    @property
    def stored_window(self) -> int:
        """Side of a stored patch: the window with its margin, pixels."""
        return self.window + 2 * self.margin

    @property
    def pixel_ratios(self) -> tuple[float, ...]:
        """Pixels of each scale per pixel of scale 0; a level counts as half of the one before it, as on most slides."""
        first = self.scales[0]
        if first.mpp is not None:
            return tuple(first.mpp / (scale.mpp or first.mpp) for scale in self.scales)
        return tuple(0.5 ** ((scale.level or 0) - (first.level or 0)) for scale in self.scales)

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.center > self.window:
            raise ValueError(f"center ({self.center} px) is larger than window ({self.window} px)")
        if self.block < max(self.window, self.stride):
            raise ValueError(f"block ({self.block} px) must be at least as large as window and stride")
        if len({offset % self.stride for offset in self.offset}) < len(self.offset):
            raise ValueError(f"offsets {list(self.offset)} give the same positions twice at stride {self.stride}")
        if self.jitter and (len(self.offset) > 1 or 2 * self.jitter >= self.stride):
            raise ValueError(
                f"jitter ({self.jitter} px) needs one offset and a stride above twice as much, else patches meet"
            )
        return self

    @model_validator(mode="after")
    def _placement_goes_with_its_labels(self) -> Self:
        kind = self.placement.kind
        if kind != "grid" and self.labels.source == "slide":
            raise ValueError(
                f"placement '{kind}' needs marked places, and labels of slides have none: set tiling.placement.kind to "
                "grid, or labels.source to polygons"
            )
        if kind == "points" and self.labels.source == "mask":
            raise ValueError("points stand in annotations, not in masks: set tiling.labels.source to polygons")
        return self

    @model_validator(mode="after")
    def _scales_go_from_fine_to_coarse(self) -> Self:
        if len({scale.mpp is None for scale in self.scales}) > 1:
            raise ValueError("scales are all given by level, or all by mpp")
        wanted = [scale.mpp or float(scale.level or 0) for scale in self.scales]
        if wanted != sorted(set(wanted)):
            told = ", ".join(f"{scale:g}" for scale in wanted)
            raise ValueError(f"scales must be distinct and go from fine to coarse, not {told}")
        return self
