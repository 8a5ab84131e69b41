"""`histospark evaluate`: predictions against what is known of the slides, as the recipe of the run knows it.

Regions: windows, lesions and whole slides. Points: detections. Labels of slides: the slides.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from cluster.errors import ExitCode, UsageError
from cluster.storage import Store
from cluster.words import counted
from inference.judged_lesions import JudgedSlide, judged_lesions, lesions_of
from inference.judged_windows import JudgedWindows, judged_windows
from inference.lesion_findings import TRUE_LESIONS, LesionEvaluation, evaluate_lesions, lesions_csv, with_lesions
from inference.points.findings import Asked, point_report
from inference.points.judged import judged_points
from inference.predict import prediction_recipe
from inference.report_parts import Report, exit_code_of
from inference.run_folder import find_run, saved_recipe
from inference.run_output import LeftOut, SlideOutput, run_to_judge
from inference.slide_grades import labeled_slides, slide_report
from preprocessing.errors import MissingMppError, SlideError
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.recipe import Recipe
from training.metrics import BinaryMetrics
from training.report import Judged, binary_findings, judge

POOLED = "all slides"

log = logging.getLogger("histospark.evaluate")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What predictions are worth.

    Attributes:
        name: of the recipe.
        windows: over the windows of all slides (`POOLED`), and of each slide with windows of both classes.
        window_slides: how many slides have windows beside known truth.
        lesions: over lesions and slides.
    """

    name: str
    windows: dict[str, Judged]
    window_slides: int
    lesions: LesionEvaluation

    @property
    def exit_code(self) -> ExitCode:
        """See `exit_code_of`."""
        return exit_code_of(self.lesions.left_out)

    def report(self) -> Report:
        """All that is told of it."""
        of_windows = binary_findings(f"{self.name}: windows of {counted(self.window_slides, 'slide')}", self.windows)
        title = f"{self.name}: {counted(len(self.lesions.slides), 'slide')}"
        files = {TRUE_LESIONS: lesions_csv(self.lesions.slides)}
        return Report(with_lesions(of_windows, self.lesions, title), self.lesions.left_out, files)


def evaluate_run(
    predictions: str, entries: Sequence[SlideEntry], leave_out: Sequence[str] = (), mpp: float | None = None
) -> Evaluation:
    """Judge what `infer` made of some slides.

    The threshold for windows is the one that training chose on its validation slides. A slide that cannot be judged is
    named in `lesions.left_out`, and the others go on.

    Args:
        predictions: a run folder of `infer`, with its `recipe.yaml` and `model.json` (see `run_folder`).
        entries: of the inventory.
        leave_out: patterns (shell style) of slide ids that do not count.
        mpp: micrometers per level-0 pixel by which lesions are measured on all slides, None for each slide's own.

    Returns:
        Slides are judged one at a time. Memory: 5 bytes a window of all slides, what `read_run` reads, and the
        evaluation mask of one slide (see `true_lesions`).

    Raises:
        UsageError: no or mixed predictions there, or the windows are of one class.
    """
    store = Store(predictions)
    recipe = prediction_recipe(saved_recipe(store))
    card, run = run_to_judge(store, entries, leave_out)
    windows, slides, left_out = _judge_slides(store, run.done, recipe, mpp)
    of_windows = _window_sets(windows, card.threshold)
    named = [_with_its_lesions(it, run.failed, recipe, mpp) for it in run.left_out]
    lesions = evaluate_lesions(slides, [*named, *left_out], recipe.seed)
    return Evaluation(recipe.name, of_windows, len(windows), lesions)


def report_on(
    predictions: str, entries: Sequence[SlideEntry], leave_out: Sequence[str] = (), mpp: float | None = None
) -> Report:
    """Judge a run by what its recipe knows of slides; arguments as for `evaluate_run`.

    Raises:
        UsageError: as `evaluate_run`; or nothing is known of any slide, or the model has other classes than the labels.
    """
    store = Store(predictions)
    recipe = saved_recipe(store)
    of_slides, of_points = recipe.tiling.labels.source == "slide", recipe.tiling.placement.kind == "points"
    if not (of_slides or of_points):
        return evaluate_run(predictions, entries, leave_out, mpp).report()
    card, run = run_to_judge(store, entries, leave_out)
    if of_points:
        slides, left_out = judged_points(run, recipe)
        title = f"{recipe.name}: points of {counted(len(slides), 'slide')}"
        return point_report(slides, left_out, Asked(title, recipe.inference.hit_radius, recipe.classes, recipe.seed))
    if card.recipe.classes != recipe.classes:
        raise UsageError(
            f"the model {card.model_id} tells {', '.join(card.recipe.classes)} apart, and the recipe of {predictions} "
            f"labels slides as {', '.join(recipe.classes)}: its scores are no answer to that"
        )
    labeled = labeled_slides(run)
    if not labeled.outputs:
        raise UsageError(f"no slide of {predictions} has a label; give the manifest with the column label by --slides")
    return slide_report(labeled, recipe, f"{recipe.name}: {counted(len(labeled.outputs), 'slide')}")


def save_evaluation(found: Evaluation, out: Path) -> str:
    """Write `metrics.md`, `metrics.json`, `slides.csv`, `true_lesions.csv` and the figures.

    Args:
        found: from `evaluate_run`.
        out: folder for the report; made where it is not there.

    Returns:
        The tables as Markdown.
    """
    return found.report().save(out)


def evaluate_predictions(predictions: str, entries: Sequence[SlideEntry], out: Path) -> tuple[BinaryMetrics, str]:
    """`evaluate_run` and `save_evaluation` in one.

    Returns:
        The metrics over the windows of all slides, and the tables as Markdown.
    """
    found = evaluate_run(predictions, entries)
    return found.windows[POOLED].metrics, save_evaluation(found, out)


def _judge_slides(
    store: Store, outputs: Sequence[SlideOutput], recipe: Recipe, mpp: float | None
) -> tuple[list[JudgedWindows], list[JudgedSlide], list[LeftOut]]:
    """Windows and lesions of every slide, and the slides that have none to judge."""
    windows, slides, left_out = [], [], []
    for output in outputs:
        slide_id = output.entry.slide_id
        try:
            of_windows = judged_windows(store, output.entry, recipe)
            if of_windows is not None:
                windows.append(of_windows)
            slide = judged_lesions(output, recipe.tiling, mpp)
        except MissingMppError as error:
            left_out.append(LeftOut(slide_id, "no mpp", str(error)))
        except SlideError as error:
            log.warning("%s cannot be judged: %s", slide_id, error)
            left_out.append(LeftOut(slide_id, "unreadable", str(error)))
        else:
            if slide is None:
                left_out.append(LeftOut(slide_id, "no truth", "neither annotated nor known to be normal"))
            else:
                slides.append(slide)
    return windows, slides, left_out


def _window_sets(windows: Sequence[JudgedWindows], threshold: float) -> dict[str, Judged]:
    labels = np.concatenate([slide.labels for slide in windows] or [np.zeros(0, bool)])
    if labels.all() or not labels.any():
        raise UsageError("the predicted slides do not show both classes; give slides with annotations beside them")
    pooled = judge(labels, np.concatenate([slide.probabilities for slide in windows]), threshold)
    single = {
        slide.slide_id: judge(slide.labels, slide.probabilities, threshold)
        for slide in windows
        if slide.labels.any() and not slide.labels.all()
    }
    return {POOLED: pooled, **single}


def _with_its_lesions(it: LeftOut, failed: Sequence[SlideEntry], recipe: Recipe, mpp: float | None) -> LeftOut:
    """A failed slide, told with the lesions it is known to hold: they are what the numbers do not speak of."""
    entry = next((entry for entry in failed if entry.slide_id == it.slide_id), None)
    if entry is None:
        return it
    try:
        lesions = lesions_of(entry, recipe.tiling, mpp)
    except SlideError:
        return it  # the slide that infer could not read
    count = 0 if lesions is None else sum(not shape.isolated for shape in lesions.shapes)
    return LeftOut(it.slide_id, it.why, f"{it.reason}; lesions it holds: {count}") if count else it


@click.command()
@click.option("--predictions", required=True, help="Output folder of infer (URI).")
@click.option("--slides", required=True, help="Folder, glob, slide, or manifest, with the annotations beside.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the report.")
@click.option(
    "--leave-out",
    multiple=True,
    metavar="PATTERN",
    help="Slides that do not count, shell style, repeatable; for CAMELYON16 [Tt]est_049 and [Tt]est_114.",
)
@click.option(
    "--mpp",
    type=click.FloatRange(0, 1000, min_open=True),
    default=None,
    help="Micrometers per level-0 pixel by which lesions are measured on all slides; default: each slide's own. "
    "CAMELYON16's program takes 0.243.",
)
@click.option("--model-id", default=None, help="Which model's results, where PREDICTIONS holds those of several.")
def evaluate(
    predictions: str, slides: str, out: Path, leave_out: tuple[str, ...], mpp: float | None, model_id: str | None
) -> ExitCode:
    """Compare predictions with annotations or labels of slides: tables and curves in OUT."""
    run = find_run(predictions, model_id)
    recipe = saved_recipe(Store(run))
    found = report_on(run, inventory(slides, recipe.tiling, recipe.seed), leave_out, mpp)
    click.echo(found.save(out))
    return found.exit_code
