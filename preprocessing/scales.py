"""From the scales that a recipe wants to what a slide offers: which level is read, and how far it is resampled."""

from dataclasses import dataclass
from typing import Literal

from preprocessing.errors import MissingLevelError, MissingMppError, ScaleTooFineError
from preprocessing.readers.base import SlideInfo
from preprocessing.tiling_settings import Scale, Tiling

MppSource = Literal["manifest", "slide", "recipe"]


@dataclass(frozen=True)
class SlideScale:
    """One scale of a recipe on one slide.

    Attributes:
        level: pyramid level that is read.
        factor: level pixels per pixel of this scale; 1 where the level is taken as it is.
        downsample: level-0 pixels per pixel of this scale.
        width, height: of the slide, pixels of this scale.
        requested_mpp: micrometers per pixel that the recipe wants; None where it names a level.
        effective_mpp: micrometers per pixel of what is read; None where the slide's mpp is not known.
    """

    level: int
    factor: float
    downsample: float
    width: int
    height: int
    requested_mpp: float | None
    effective_mpp: float | None


def slide_mpp(info: SlideInfo, stated: float | None, tiling: Tiling) -> tuple[float | None, MppSource | None]:
    """Micrometers per level-0 pixel, and who says so.

    The manifest goes first: it is said of this very slide, on purpose, and can correct a wrong header. Then the slide
    itself. The recipe speaks for slides of which nobody else does.

    Args:
        info: of the slide.
        stated: by the manifest.
        tiling: `mpp`, the recipe's.
    """
    if stated is not None:
        return stated, "manifest"
    if info.mpp is not None:
        return info.mpp, "slide"
    return (tiling.mpp, "recipe") if tiling.mpp is not None else (None, None)


def resolve_scales(info: SlideInfo, mpp: float | None, tiling: Tiling) -> tuple[SlideScale, ...]:
    """Find every scale of a recipe on a slide.

    Args:
        info: of the slide.
        mpp: micrometers per level-0 pixel, None where nobody knows.
        tiling: `scales` and `mpp_tolerance`.

    Raises:
        MissingLevelError: a scale asks for a level that the slide lacks.
        MissingMppError: a scale is given by mpp, and nobody knows the slide's.
        ScaleTooFineError: a scale is finer than level 0.
    """
    return tuple(_resolve(scale, info, mpp, tiling.mpp_tolerance) for scale in tiling.scales)


def _resolve(scale: Scale, info: SlideInfo, mpp: float | None, tolerance: float) -> SlideScale:
    if scale.level is not None:
        if scale.level >= len(info.level_sizes):
            raise MissingLevelError(
                f"the recipe asks for level {scale.level}, the slide has levels 0 to {len(info.level_sizes) - 1}; "
                "choose other tiling.scales for it"
            )
        return _level_as_it_is(scale.level, info, mpp, None)
    if mpp is None or scale.mpp is None:
        raise MissingMppError(
            "the recipe's scales are given by mpp, and nothing says the mpp of this slide; add a column mpp to the "
            "manifest, set tiling.mpp for such slides, or give tiling.scales by level"
        )
    of_levels = [mpp * downsample for downsample in info.downsamples]
    nearest = min(range(len(of_levels)), key=lambda level: abs(of_levels[level] / scale.mpp - 1))  # type: ignore[operator]
    if abs(of_levels[nearest] / scale.mpp - 1) <= tolerance:
        return _level_as_it_is(nearest, info, mpp, scale.mpp)
    finer = [level for level, of_level in enumerate(of_levels) if of_level < scale.mpp]
    if not finer:
        raise ScaleTooFineError(
            f"the recipe asks for {scale.mpp:g} um per pixel, the finest level of the slide has {of_levels[0]:.4g}; "
            "choose coarser tiling.scales, or raise tiling.mpp_tolerance"
        )
    return _resampled(finer[-1], info, of_levels[finer[-1]], scale.mpp)


def _level_as_it_is(level: int, info: SlideInfo, mpp: float | None, wanted: float | None) -> SlideScale:
    downsample = info.downsamples[level]
    effective = None if mpp is None else mpp * downsample
    return SlideScale(level, 1.0, downsample, *info.level_sizes[level], wanted, effective)


def _resampled(level: int, info: SlideInfo, level_mpp: float, wanted: float) -> SlideScale:
    factor = wanted / level_mpp
    width, height = (int(size / factor) for size in info.level_sizes[level])
    return SlideScale(level, factor, info.downsamples[level] * factor, width, height, wanted, wanted)
