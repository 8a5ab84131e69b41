"""`histospark inspect`: what slides are, and what is wrong with them, before any job is started."""

import click

from cluster.errors import ExitCode
from preprocessing.errors import SlideError
from preprocessing.inventory import slide_paths
from preprocessing.slides import Slide, SlideInfo


@click.command("inspect")
@click.argument("slides", nargs=-1, required=True)
def inspect(slides: tuple[str, ...]) -> ExitCode:
    """Show format, size, levels and resolution of SLIDES (files, folders or globs)."""
    failed = False
    for path in (path for source in slides for path in slide_paths(source)):
        try:
            with Slide(path) as slide:
                slide.read(len(slide.info.level_sizes) - 1, 0, 0, 1, 1)
                click.echo(f"{path}\n{describe(slide.info)}")
        except SlideError as error:
            failed = True
            click.echo(f"{path}\n  unusable: {error}")
    return ExitCode.SOME_SLIDES_FAILED if failed else ExitCode.GOOD


def describe(info: SlideInfo) -> str:
    """A slide's facts in a few indented lines."""
    lines = [
        f"  vendor {info.vendor}, {info.width}x{info.height} px",
        f"  mpp {info.mpp or 'not stated'}, objective {info.objective_power or 'not stated'}",
    ]
    for level, (size, downsample) in enumerate(zip(info.level_sizes, info.downsamples, strict=True)):
        uneven = "" if abs(downsample - round(downsample)) < 1e-6 else "  (no whole number: regions are resampled)"
        lines.append(f"  level {level}: {size[0]}x{size[1]} px, downsample {downsample:.4g}{uneven}")
    return "\n".join(lines)
