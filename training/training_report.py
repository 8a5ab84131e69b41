"""What a training came to, in one call: the model judged on what it did not learn from, its card, its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import keras

from preprocessing.recipe import Recipe
from training.card import DataCard, ExportCard, ModelCard, installed_versions, model_id
from training.class_metrics import ClassMetrics
from training.epochs import Epoch, best_epoch
from training.evaluation import split_predictions
from training.findings import Drawing, Findings, Section, Table, save_findings
from training.hardest import Hardest, hardest_patches
from training.html_report import save_html
from training.judging import Judging, Metrics
from training.many_classes import ManyClasses
from training.metrics import BinaryMetrics
from training.recipe_streams import split_stream
from training.slide_level import ScoredPatches
from training.stain_shift import AS_IT_IS, Robustness, color_robustness
from training.table import PatchTable
from training.training_figures import curves_figure, hardest_figure, robustness_figure
from training.two_classes import TwoClasses


@dataclass(frozen=True)
class TrainingReport:
    """What was written.

    Attributes:
        card: path of the model's card.
        page: path of the HTML report.
        metrics: by split.
        table: the tables as Markdown, for printing.
    """

    card: Path
    page: Path
    metrics: Metrics
    table: str


def report_training(
    core: keras.Model,
    model_file: Path,
    table: PatchTable,
    recipe: Recipe,
    epochs: Sequence[Epoch],
    exported: Mapping[str, ExportCard] | None = None,
) -> TrainingReport:
    """Judge a trained model, and write its card and its report beside it.

    `test` is judged where it has patches of two classes. What other stains do, and where the model errs most, is
    looked at on the split that tells most: `test`, else `validation`.

    Args:
        core: the trained model, as its file holds it.
        model_file: that file, `.keras`.
        table: what it was trained on.
        recipe: how.
        epochs: what the epochs came to, of all runs; may be empty.
        exported: the model's exported forms, by their name in `training.exports`.

    Raises:
        JobError: a split cannot be read, or the model answers no number.
    """
    scored = {split: split_predictions(core, split_stream(table, split, recipe)) for split in judged_splits(table)}
    judging = judging_of(recipe, scored["validation"])
    title = f"Patches of {recipe.name}"
    metrics, findings = judging.judged(title, scored)
    split = list(scored)[-1]
    window = recipe.tiling.window
    robustness = color_robustness(core, table, split, judging, window, recipe.training.batch_size)
    hardest = hardest_patches(core, table, split, scored[split], judging, window)
    best = best_epoch(epochs)
    card = describe(model_file, table, recipe, metrics, best, exported or {})
    told = with_more(findings, robustness, hardest, judging.classes)
    if best is not None:
        told = replace(told, drawings=(_curves(epochs, best), *told.drawings))
    folder = model_file.parent
    text = save_findings(folder, told)
    page = save_html(folder / "report.html", told, card, table, epochs, hardest)
    return TrainingReport(card.save(model_file), page, metrics, text)


def judged_splits(table: PatchTable) -> list[str]:
    """The splits that a model is judged on: `validation`, and `test` where it has two classes or more."""
    classes = {label for label, rows in table.rows_per_label("test").items() if rows and label is not None}
    return ["validation", "test"] if len(classes) > 1 else ["validation"]


def judging_of(recipe: Recipe, validation: ScoredPatches) -> Judging:
    """How the models of a recipe are judged; where there are thresholds, they are chosen on validation alone."""
    if len(recipe.classes) == 2:
        return TwoClasses.chosen_on(validation, recipe)
    return ManyClasses(recipe.classes, recipe.seed, recipe.tiling.labels.ordered)


def describe(
    model_file: Path,
    table: PatchTable,
    recipe: Recipe,
    metrics: Metrics,
    epoch: Epoch | None,
    exported: Mapping[str, ExportCard],
) -> ModelCard:
    """The card of a model that was just trained.

    Args:
        model_file: it exists.
        table, recipe: what it was trained on, and how.
        metrics: by split.
        epoch: the one that was kept; None where it is not known.
        exported: the model's exported forms, by their name in `training.exports`.
    """
    return ModelCard(
        model_id=model_id(model_file),
        recipe=recipe,
        data=DataCard.of(table),
        versions=installed_versions(),
        metrics={split: it for split, it in metrics.items() if isinstance(it, BinaryMetrics)},
        class_metrics={split: it for split, it in metrics.items() if isinstance(it, ClassMetrics)},
        epoch=epoch,
        exported=exported.get("openvino"),
        onnx=exported.get("onnx"),
        created_at=datetime.now(UTC),
    )


def with_more(findings: Findings, robustness: Robustness, hardest: Hardest, classes: Sequence[str]) -> Findings:
    """Add other stains and the hardest patches to what is told of a split."""
    split = robustness.split
    of_split = dict(findings.values[split])
    of_split["color_robustness"] = robustness.as_json()
    of_split["hardest"] = [it.as_json() for it in hardest.patches]
    return replace(
        findings,
        values={**findings.values, split: of_split},
        sections=(*findings.sections, robustness_section(robustness)),
        drawings=(*findings.drawings, _robustness(robustness), *_hardest(hardest, classes)),
    )


def robustness_section(robustness: Robustness) -> Section:
    """The table of other stains, with the lowest value of each measure marked."""
    measures = list(robustness.unshifted)
    found = {name: robustness.worst(name) for name in measures}
    # Where nothing is worse than the patches as they are, nothing is marked.
    worst = {name: shift for name, (shift, value) in found.items() if value < robustness.unshifted[name]}
    rows = [(AS_IT_IS.name, *(f"{value:.4f}" for value in robustness.unshifted.values()))]
    for shift, values in robustness.shifted:
        cells = [f"{values[name]:.4f}{' (worst)' if worst.get(name) == shift else ''}" for name in measures]
        rows.append((shift.name, *cells))
    return Section(
        f"With other stains ({robustness.split})",
        Table(("stain", *measures), tuple(rows)),
        f"The same {robustness.patches:,} patches of {robustness.slides} slides under every shift, evenly from slides "
        "and classes, so these numbers differ from those above. Percentages change the optical density of a stain; "
        "density is added to both. Real slides of another laboratory may differ in other ways.",
        place="stains",
    )


def _curves(epochs: Sequence[Epoch], best: Epoch) -> Drawing:
    return Drawing(
        name="curves",
        caption="Loss and AUC over the epochs. Training patches are augmented, so their loss may be the higher one. "
        "Dotted: the epoch whose model was kept; gray lines: a new stage.",
        alt=f"Curves of {len(epochs)} epochs. Best validation AUC {best.validation_auc:.4f} in epoch {best.number} "
        f"(stage {best.stage}), validation loss {best.validation_loss:.4f}.",
        figure=curves_figure(epochs, best.number),
        place="training",
    )


def _robustness(robustness: Robustness) -> Drawing:
    told = "; ".join(
        f"{name} {value:.4f}, at worst {robustness.worst(name)[1]:.4f} with {robustness.worst(name)[0].name}"
        for name, value in robustness.unshifted.items()
    )
    return Drawing(
        name="color_robustness",
        caption=f"The measures on {robustness.split} under each shift of stain; the lines are the patches as they are.",
        alt=f"Measures under shifted stains. {told}.",
        figure=robustness_figure(robustness),
        place="stains",
    )


def _hardest(hardest: Hardest, classes: Sequence[str]) -> list[Drawing]:
    layers = ", ".join(f"scale {scale} at {layer}" for scale, layer in enumerate(hardest.layers))
    return [
        Drawing(
            name=f"hardest_{label}",
            caption=f"The patches of {name} with the highest loss on {hardest.split}, each beside its Grad-CAM for the "
            f"class it was judged to be of ({layers}: the last map of the tower with at least 5 x 5 places, or the "
            "largest there is). Yellow: what spoke most for that class; each heatmap is scaled by its own maximum. "
            "Empty: at that scale nothing spoke for it.",
            alt=f"{len(patches)} patches of {name} with their heatmaps; the table below lists them.",
            figure=hardest_figure(patches, classes),
            place="hardest",
        )
        for label, name in enumerate(classes)
        if (patches := hardest.of_class(label))
    ]
