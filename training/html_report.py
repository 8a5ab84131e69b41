"""The report as one HTML page that needs nothing else: no script, no network, images inside.

Slide names and all else that comes from outside are escaped by the template engine; the page's own policy forbids
scripts and requests on top of that.
"""

import base64
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import jinja2
import yaml
from PIL import Image

from preprocessing.recipe import Recipe
from preprocessing.training_settings import Stage
from training.card import ModelCard
from training.epochs import Epoch
from training.findings import Drawing, Findings, Table
from training.hardest import Hardest
from training.intervals import COVERAGE, FEW, FEWEST
from training.sampling import rows_of_pass
from training.schedules import rate_schedule
from training.stages import legs
from training.table import PatchTable

TEMPLATE: Final = "report.html.j2"
_LARGEST_PNG: Final = 200_000  # bytes; what is larger holds photographs, which JPEG keeps smaller
_PHOTOGRAPHS: Final = 2_500_000  # bytes that all hardest patches may take together, so that the page stays small
_QUALITIES: Final = (88, 75, 60, 45, 30)


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it; `data` is a `data:` URI, sizes in pixels."""

    data: str
    caption: str
    alt: str
    width: int
    height: int


def save_html(
    path: Path, findings: Findings, card: ModelCard, table: PatchTable, epochs: Sequence[Epoch], hardest: Hardest
) -> Path:
    """Write the page.

    Args:
        path: where to; the figures lie beside it as PNG already.
        findings: tables, notes and figures.
        card: of the model.
        table: what it was trained on.
        epochs: what the epochs came to; may be empty.
        hardest: patches listed below their figures.

    Returns:
        `path`.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((files("training") / TEMPLATE).read_text(encoding="utf-8"))
    recipe, classes = card.recipe, card.recipe.classes
    text = template.render(
        findings=findings,
        card=card,
        pictures=_pictures(path.parent, findings.drawings),
        slides=None if findings.slides is None else _csv_table(findings.slides),
        data=_data_table(table, classes),
        slide_list=_slide_list(table),
        stages=_stage_table(recipe),
        epochs=_epoch_table(table, recipe, epochs),
        recipe=yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
        hardest=_hardest_tables(hardest, classes),
        limits=_limits(findings, classes),
    )
    path.write_text(text, encoding="utf-8")
    return path


def _pictures(folder: Path, drawings: Sequence[Drawing]) -> dict[str, list[Picture]]:
    found: dict[str, list[Picture]] = {"metrics": [], "training": [], "stains": [], "hardest": []}
    largest = _PHOTOGRAPHS // max(sum(drawing.place == "hardest" for drawing in drawings), 1)
    for drawing in drawings:
        found[drawing.place].append(_picture(folder / f"{drawing.name}.png", drawing, largest))
    return found


def _picture(path: Path, drawing: Drawing, largest: int) -> Picture:
    content, kind = path.read_bytes(), "png"
    with Image.open(path) as image:
        width, height = image.size
        if len(content) > _LARGEST_PNG:
            content, kind = _as_jpeg(image.convert("RGB"), largest), "jpeg"
    data = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return Picture(data, drawing.caption, drawing.alt, width, height)


def _as_jpeg(image: Image.Image, largest: int) -> bytes:
    """The image at the best of `_QUALITIES` that takes at most so many bytes, or at the last of them."""
    content = b""
    for quality in _QUALITIES:
        written = io.BytesIO()
        image.save(written, "JPEG", quality=quality, optimize=True)
        content = written.getvalue()
        if len(content) <= largest:
            break
    return content


def _csv_table(text: str) -> Table:
    header, *rows = csv.reader(io.StringIO(text))
    return Table(tuple(header), tuple(tuple(cell or "-" for cell in row) for row in rows))


def _data_table(table: PatchTable, classes: Sequence[str]) -> Table:
    def rows() -> Iterator[tuple[str, ...]]:
        for split in sorted(table.splits, key=_split_order):
            per_label = table.rows_per_label(split)
            counts = [per_label.get(label, 0) for label in (*range(len(classes)), None)]
            yield (split, *(f"{count:,}" for count in (len(table.rows_per_slide(split)), sum(counts), *counts)))

    return Table(("split", "slides", "patches", *classes, "unlabeled"), tuple(rows()))


def _slide_list(table: PatchTable) -> Table:
    rows = [
        (slide, split, f"{patches:,}")
        for split in sorted(table.splits, key=_split_order)
        for slide, patches in sorted(table.rows_per_slide(split).items())
    ]
    return Table(("slide", "split", "patches"), tuple(rows))


def _split_order(split: str) -> tuple[int, str]:
    known = ("train", "validation", "test")
    return (known.index(split) if split in known else len(known), split)


def _stage_table(recipe: Recipe) -> Table:
    rows = [
        (str(leg.number), str(leg.stage.epochs), str(leg.stage.trainable_from), *_described(leg.stage))
        for leg in legs(recipe.training.stages)
    ]
    return Table(("stage", "epochs", "trained from layer", "optimizer", "rate", "group rates"), tuple(rows))


def _described(stage: Stage) -> tuple[str, str, str]:
    rate = stage.rate.model_dump(exclude={"kind"})
    settings = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in rate.items()
    )
    groups = ", ".join(f"{value:g}" for value in stage.group_rates) or "1"
    return stage.optimizer.name, f"{stage.rate.kind}: {settings}", groups


def _epoch_table(table: PatchTable, recipe: Recipe, epochs: Sequence[Epoch]) -> Table:
    rows = [
        (
            str(it.number),
            str(it.stage),
            rate,
            *(f"{value:.4f}" for value in (it.loss, it.auc, it.validation_loss, it.validation_auc)),
            f"{it.seconds:.0f}",
        )
        for it, rate in zip(epochs, _rates(table, recipe), strict=False)
    ]
    columns = ("epoch", "stage", "rate", "loss", "AUC", "validation loss", "validation AUC", "seconds")
    return Table(columns, tuple(rows))


def _rates(table: PatchTable, recipe: Recipe) -> Iterator[str]:
    """The rate at the first and the last step of each epoch, of all stages."""
    training = recipe.training
    steps = -(-rows_of_pass(table.labeled("train"), training.sampling) // training.batch_size)
    for leg in legs(training.stages):
        schedule = rate_schedule(leg.stage, leg.stage.epochs * steps, training.batch_size)
        for epoch in range(leg.stage.epochs):
            first, last = (f"{float(schedule(step)):.3g}" for step in (epoch * steps, (epoch + 1) * steps - 1))
            yield first if first == last else f"{first} to {last}"


def _hardest_tables(hardest: Hardest, classes: Sequence[str]) -> list[tuple[str, Table]]:
    columns = ("place", "slide", "x", "y", "judged", "probability of its own class", "loss")
    found = []
    for label, name in enumerate(classes):
        rows = [
            (
                str(place),
                it.patch.slide_id,
                str(it.patch.x),
                str(it.patch.y),
                classes[it.decided],
                f"{it.given:.5f}",
                f"{it.loss:.3f}",
            )
            for place, it in enumerate(hardest.of_class(label), 1)
        ]
        if rows:
            found.append((name, Table(columns, tuple(rows))))
    return found


def _limits(findings: Findings, classes: Sequence[str]) -> list[str]:
    chosen = "the epoch that was kept" if len(classes) > 2 else "the epoch that was kept and both thresholds"
    limits = [
        f"Validation chose {chosen}, so its numbers are somewhat too good; those of test are not touched by that.",
        f"Intervals say how the numbers may differ on other slides like these ({COVERAGE:.0%}, by resampling whole "
        f"slides). With fewer than {FEWEST} slides of a class there are none; below {FEW} they are too narrow.",
        "Nothing here tells how the model does on slides of another laboratory, scanner or tissue.",
        "A heatmap shows what raised a score, not whether the reason was a good one.",
        "This is a research result and no medical device.",
    ]
    if "test" not in findings.values:
        limits.insert(0, "There is no judged split `test`: all numbers are of slides that chose the model.")
    return limits
