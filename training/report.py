"""Two classes, judged and told: the table of metrics and the figures of some sets."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from numpy.typing import ArrayLike

from training import figures
from training.evidence import Evidence, as_json, gather
from training.findings import Drawing, Findings
from training.metrics import BinaryMetrics, RocCurve, Thresholds, binary_metrics, roc_points
from training.report_text import metric_notes, metric_sections
from training.slide_level import ScoredPatches, slide_csv


@dataclass(frozen=True)
class Judged:
    """One set with its table and its curve.

    Attributes:
        metrics, curve: over all patches.
        evidence: what more is known where the slide of each patch is known, else None.
    """

    metrics: BinaryMetrics
    curve: RocCurve
    evidence: Evidence | None = None


def judge(labels: ArrayLike, probabilities: ArrayLike, threshold: float) -> Judged:
    """Table and curve of one set; see `metrics.binary_metrics`."""
    return Judged(binary_metrics(labels, probabilities, threshold), roc_points(labels, probabilities))


def judge_split(patches: ScoredPatches, split: str, thresholds: Thresholds, seed: int) -> Judged:
    """Table, curve and evidence of one split; see `evidence.gather`."""
    plain = judge(patches.labels, patches.probabilities, thresholds.youden)
    return Judged(plain.metrics, plain.curve, gather(patches, split, thresholds, seed))


def binary_findings(title: str, sets: Mapping[str, Judged]) -> Findings:
    """All that is told of some sets of two classes; figures and slides where there is evidence.

    Args:
        title: heading of table and plots.
        sets: what was judged, by name.
    """
    evidence = {name: judged.evidence for name, judged in sets.items() if judged.evidence is not None}
    metrics = {name: judged.metrics for name, judged in sets.items()}
    more = {name: {"accuracy": metrics[name].accuracy} | as_json(it) for name, it in evidence.items()}
    return Findings(
        title=title,
        sections=metric_sections(metrics, evidence),
        notes=metric_notes(evidence),
        values={name: asdict(it) | more.get(name, {}) for name, it in metrics.items()},
        drawings=_drawings(title, sets, evidence),
        slides=slide_csv(row for it in evidence.values() for row in it.slides) if evidence else None,
    )


def _drawings(title: str, sets: Mapping[str, Judged], evidence: Mapping[str, Evidence]) -> tuple[Drawing, ...]:
    metrics = {name: judged.metrics for name, judged in sets.items()}
    curves = {name: judged.curve for name, judged in sets.items()}
    roc = Drawing(
        name="roc",
        caption="ROC curve: each dot is the threshold of the table; the gray diagonal is guessing.",
        alt="ROC curves. " + _each({name: f"AUC {it.auc:.4f}" for name, it in metrics.items()}),
        figure=figures.roc_figure(title, metrics, curves),
    )
    if not evidence:
        return (roc,)
    precision = Drawing(
        name="precision_recall",
        caption="Precision over recall: each dot is the threshold of the table; dashed lines are guessing.",
        alt="Precision-recall curves. "
        + _each({name: f"average precision {it.curve.average_precision:.4f}" for name, it in evidence.items()}),
        figure=figures.precision_recall_figure(title, metrics, evidence),
    )
    calibration = Drawing(
        name="calibration",
        caption="Calibration: a point below the diagonal promises more than comes true. Below, patches per bin.",
        alt="Reliability diagram. "
        + _each({name: f"expected error {it.reliability.expected_error:.4f}" for name, it in evidence.items()}),
        figure=figures.calibration_figure(title, evidence),
    )
    confusion = Drawing(
        name="confusion",
        caption="Confusion matrices at the threshold of the table; shares are of the actual class.",
        alt="Confusion matrices. " + _each({name: _counted(it) for name, it in evidence.items()}),
        figure=figures.confusion_figure(title, metrics, evidence),
    )
    return roc, precision, calibration, confusion


def _counted(evidence: Evidence) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in asdict(evidence.confusion).items())


def _each(texts: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {text}" for name, text in texts.items()) + "."
