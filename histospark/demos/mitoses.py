"""The demo of TUPAC16's mitoses: drawn fields, two networks, and what they find in fields of other patients."""

from pathlib import Path
from typing import Final

import click

from cluster.errors import JobError
from cluster.session import spark_session
from histospark.demos.steps import Stopwatch, inferred, shipped_recipe, tiled, told, training_told
from histospark.drawing.tupac import draw_mitoses, draw_tupac16
from inference.evaluate import report_on
from inference.points.mine import MANIFEST, mine_run
from inference.proliferation.job import grade_run
from preprocessing.datasets.manifest_job import write_manifest
from preprocessing.inventory import inventory
from preprocessing.recipe import Recipe
from training.job import run_training

LOWEST_F1: Final = 0.6  # on the fields of the split test; below it something is broken
LOWEST_KAPPA: Final = 0.4  # on the slides of the split test
SLIDE_SIDE: Final = 1536
REGION: Final = 96.0  # micrometers: 16 regions on such a slide, where real ones have some 50 of 3000
HARD: Final = "tupac16_mitoses_hard"
_SMALL: Final = (
    "tiling.sampling.normals_per_tumor=25",
    "tiling.sampling.from_slides_without_tumor=250",
    "training.batch_size=32",
    "training.batch_norm_momentum=0.9",  # few steps
    "training.sampling.rows=1280",
    "inference.variants=2",
)
_STAGES: Final = "training.stages=[{trainable_from: 0, epochs: 6, rate: {kind: one_cycle, peak: 0.002}}]"
OVERRIDES: Final = (
    *_SMALL,
    "training.weights=none",  # no download
    "training.backbone=mobilenet_v3_small",
    "training.input_side=64",
    _STAGES,
)


def run(recipe: Recipe, out: Path, master: str | None) -> None:
    """Draw fields, train, mine false positives, train the second network on them, and judge fields kept apart.

    Raises:
        JobError: the model is not as good as it was everywhere else.
    """
    source, manifest, watch = out / "source", out / "fields.csv", Stopwatch()
    second = shipped_recipe(HARD, (*_SMALL, _STAGES))
    watch.step("draw", lambda: draw_mitoses(source, recipe.seed))
    watch.step("list", lambda: write_manifest("tupac16-mitoses", str(source), str(manifest)))
    fields = inventory(str(manifest), recipe.tiling, recipe.seed)
    cut = watch.step("tile", lambda: tiled(recipe, fields, out / "first_tiles", master))
    first = watch.step("train", lambda: run_training(recipe, str(out / "first_tiles"), str(out / "first"), replicas=0))
    watch.step("infer", lambda: inferred(recipe, fields, first.model, out / "found", master))
    mined = watch.step("mine", lambda: mine_run(str(out / "found"), fields, str(out / "mined")))
    listed = inventory(str(out / "mined" / MANIFEST), second.tiling, second.seed)
    watch.step("tile again", lambda: tiled(second, listed, out / "second_tiles", master))
    model = watch.step("train again", lambda: run_training(second, str(out / "second_tiles"), str(out / "second"), 0))
    unseen = [field for field in fields if field.split == "test"]
    watch.step("infer again", lambda: inferred(second, unseen, model.model, out / "result", master))
    report = report_on(str(out / "result"), unseen)
    click.echo(report.save(out / "report"))
    f1 = report.findings.values["detections"]["f1"]["value"]
    kappa = _graded(second, model.model, out, master, watch)
    click.echo(
        told(
            {
                "patches": f"{cut.patches} of {cut.done} fields, {cut.positives} of them mitoses",
                "mined": f"{mined.negatives} hard negatives",
                "training": training_told(model, second.training.batch_size, watch.seconds["train again"]),
                "F1": f"{f1:.4f} on the {len(unseen)} fields of the split test",
                "kappa": f"{kappa:.4f} on the slides of the split test, quadratic, by their mitoses",
                "report": str(out / "report" / "metrics.md"),
                "time": f"{sum(watch.seconds.values()):.0f} s in all",
            }
        )
    )
    for name, found, lowest in (("F1", f1, LOWEST_F1), ("kappa", kappa, LOWEST_KAPPA)):
        if found < lowest:
            raise JobError(f"{name} {found:.3f} on the split test is below {lowest}: something is broken")


def _graded(recipe: Recipe, model: Path, out: Path, master: str | None, watch: Stopwatch) -> float:
    """Count mitoses on drawn slides and tell their scores by the counts: quadratic kappa of those kept apart."""
    scores = shipped_recipe("tupac16", ["tiling.splits={stratified: true, test_fraction: 0.34}"])
    source, manifest, result = out / "slides", out / "slides.csv", out / "counted"
    watch.step("draw slides", lambda: draw_tupac16(source, recipe.seed, slides=18, side=SLIDE_SIDE))
    write_manifest("tupac16", str(source), str(manifest))
    sparse = recipe.model_copy(update={"inference": recipe.inference.model_copy(update={"stride": 24, "variants": 1})})
    slides = inventory(str(source / "training_image_data"), sparse.tiling, sparse.seed)
    watch.step("count", lambda: inferred(sparse, slides, model, result, master))
    labeled = inventory(str(manifest), scores.tiling, scores.seed)
    with spark_session("demo proliferation", master) as spark:
        graded = grade_run(spark, str(result), labeled, scores, region=REGION)
    click.echo(graded.report.save(out / "scores"))
    return float(graded.report.findings.values["kappa"]["value"])
