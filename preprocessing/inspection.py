"""`histospark inspect`: what slides are, and what is wrong with them, before any job is started."""

import json
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import click
from rich.console import RenderableType
from rich.text import Text

from cluster.errors import ExitCode
from cluster.terminal import indented, show, table, terminal
from cluster.words import counted
from preprocessing.inventory import slides_of
from preprocessing.slide_check import Inspection, inspect_slide


@click.command("inspect")
@click.argument("slides", nargs=-1, required=True)
@click.option("--failed", "only_failed", is_flag=True, help="Only slides that cannot be used or have a problem.")
@click.option("--json", "as_json", is_flag=True, help="For machines: one JSON object a slide and line.")
def inspect(slides: tuple[str, ...], only_failed: bool, as_json: bool) -> ExitCode:
    """Show format, size, levels, resolution, reader and problems of SLIDES (files, folders, globs or manifests)."""
    console = terminal()
    found: list[Inspection] = []
    for entry in (entry for source in slides for entry in slides_of(source)):
        found.append(inspect_slide(entry))
        if only_failed and not (found[-1].error or found[-1].problems):
            continue
        if as_json:
            click.echo(json.dumps(asdict(found[-1])))
        else:
            show(page(found[-1]), console)
    if not as_json:
        show([summary(found)], console)
    return ExitCode.SOME_SLIDES_FAILED if any(slide.error for slide in found) else ExitCode.GOOD


def page(slide: Inspection) -> Iterator[RenderableType]:
    """What a person wants to know of one slide."""
    yield Text.assemble((slide.entry.slide_id, "bold red" if slide.error else "bold"), f"  {slide.entry.path}")
    if slide.info and slide.choice:
        note = f": {slide.choice.note}" if slide.choice.note else ""
        yield _facts(
            {
                "format": f"{slide.info.vendor}{f', {slide.storage}' if slide.storage else ''}",
                "size": size_for_people(slide),
                "resolution": _resolution(slide),
                "reader": f"{slide.choice.name}{note}",
                "beside it": _companions(slide),
            }
        )
        yield _levels(slide)
    if slide.error:
        yield indented(Text.assemble(("unusable: ", "red"), slide.error))
    for problem in slide.problems:
        yield indented(Text.assemble(("problem: ", "yellow"), problem))
    yield ""


def size_for_people(slide: Inspection) -> str:
    """Pixels, gigapixels, and millimeters where the resolution is known."""
    if slide.info is None:
        return "unknown"
    width, height = slide.info.width, slide.info.height
    pixels = width * height
    count = f"{pixels / 1e9:.2f} gigapixels" if pixels >= 1e8 else f"{pixels / 1e6:.2f} megapixels"
    extent = f", {width * slide.mpp / 1000:.2f} x {height * slide.mpp / 1000:.2f} mm" if slide.mpp else ""
    return f"{width:,} x {height:,} px, {count}{extent}"


def summary(slides: Sequence[Inspection]) -> Text:
    """One line on all of them."""
    bad, doubtful = sum(bool(slide.error) for slide in slides), sum(bool(slide.problems) for slide in slides)
    line = Text.assemble((counted(len(slides), "slide"), "bold"), ": ")
    line.append(f"{len(slides) - bad:,} usable", "green")
    if bad:
        line.append(", ").append(f"{bad:,} unusable", "red")
    if doubtful:
        line.append(", ").append(f"{doubtful:,} with a problem", "yellow")
    return line


def _facts(facts: dict[str, str]) -> RenderableType:
    return table(["", ""], [(Text(name, "cyan"), value) for name, value in facts.items()], head=False)


def _resolution(slide: Inspection) -> str:
    power = slide.info.objective_power if slide.info else None
    objective = f"objective {power:g}" if power else "objective not stated"
    if slide.mpp is None:
        return f"mpp not stated, {objective}"
    by_manifest = " (by the manifest)" if slide.entry.mpp else ""
    return f"{slide.mpp:.4g} um per pixel{by_manifest}, {objective}"


def _companions(slide: Inspection) -> str:
    beside = {"annotation": slide.entry.annotation, "mask": slide.entry.mask}
    named = [f"{kind} {posixpath.basename(path)}" for kind, path in beside.items() if path]
    return ", ".join(named) or "no annotation, no mask"


def _levels(slide: Inspection) -> RenderableType:
    numbers = ["level", "width", "height", "downsample", "mpp"]
    rows: list[Sequence[str]] = []
    sizes = zip(slide.info.level_sizes, slide.info.downsamples, strict=True) if slide.info else ()
    for level, ((width, height), downsample) in enumerate(sizes):
        mpp = f"{slide.mpp * downsample:.4g}" if slide.mpp else "-"
        uneven = "" if abs(downsample - round(downsample)) < 1e-6 else "no whole number"
        rows.append([str(level), f"{width:,}", f"{height:,}", f"{downsample:.4g}", mpp, uneven])
    return table([*numbers, ""], rows, numbers)
