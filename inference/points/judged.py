"""The slides of a run beside the points that are marked on them."""

import logging
from collections.abc import Iterable
from dataclasses import replace

from cluster.errors import UsageError
from inference.points.matching import matched_points
from inference.points.scores import JudgedPoints
from inference.points.truth import true_points
from inference.run_output import LeftOut, RunOutput, SlideOutput
from preprocessing.errors import SlideError
from preprocessing.recipe import Recipe

log = logging.getLogger("histospark.evaluate")


def judged_points(run: RunOutput, recipe: Recipe) -> tuple[list[JudgedPoints], list[LeftOut]]:
    """Judge the detections of a run.

    Args:
        run: what is there of it.
        recipe: of the run.

    Returns:
        The slides that could be judged, one at a time, and those that are in no number. Memory: about 200 bytes a point
        and detection.

    Raises:
        UsageError: no slide could be judged.
    """
    slides, left_out = [], list(_with_their_points(run, recipe))
    for output in run.done:
        slide_id = output.entry.slide_id
        try:
            slide = _judged(output, recipe)
        except SlideError as error:
            log.warning("%s cannot be judged: %s", slide_id, error)
            left_out.append(LeftOut(slide_id, "unreadable", str(error)))
            continue
        if slide is None:
            left_out.append(LeftOut(slide_id, "no truth", "neither annotated nor known to be normal"))
        else:
            slides.append(slide)
    if not slides:
        raise UsageError(f"no slide to evaluate: {left_out[0].slide_id}: {left_out[0].reason}")
    return slides, left_out


def _judged(output: SlideOutput, recipe: Recipe) -> JudgedPoints | None:
    truth = true_points(output.entry, recipe.tiling)
    if truth is None:
        return None
    matched = matched_points(truth.xy, output.detections, recipe.inference.hit_radius)
    return JudgedPoints(output.entry.slide_id, truth.xy, truth.labels, output.detections, matched, output.empty)


def _with_their_points(run: RunOutput, recipe: Recipe) -> Iterable[LeftOut]:
    """A failed slide is told with the points it is known to hold: they are what the numbers do not speak of."""
    failed = {entry.slide_id: entry for entry in run.failed}
    for it in run.left_out:
        count = 0
        if it.slide_id in failed:
            try:
                truth = true_points(failed[it.slide_id], recipe.tiling)
            except SlideError:
                truth = None  # the slide that infer could not read
            count = 0 if truth is None else len(truth.xy)
        yield replace(it, reason=f"{it.reason}; points it holds: {count}") if count else it
