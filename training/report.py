"""What people look at: the table of metrics and the figures of some judged sets, written to a folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from numpy.typing import ArrayLike

from training import figures
from training.evidence import Evidence, as_json, gather
from training.metrics import BinaryMetrics, RocCurve, Thresholds, binary_metrics, roc_points
from training.report_text import metrics_table
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


def save_report(folder: Path, title: str, sets: Mapping[str, Judged]) -> str:
    """Write `metrics.md`, `metrics.json` and `roc.png`.

    Where there is evidence, also `slides.csv`, `precision_recall.png`, `calibration.png` and `confusion.png`.

    Args:
        folder: where to; it exists.
        title: heading of table and plots.
        sets: what was judged, by name.

    Returns:
        The table as Markdown, for printing.
    """
    evidence = {name: judged.evidence for name, judged in sets.items() if judged.evidence is not None}
    metrics = {name: judged.metrics for name, judged in sets.items()}
    table = metrics_table(title, metrics, evidence)
    (folder / "metrics.md").write_text(table, encoding="utf-8")
    more = {name: as_json(it) for name, it in evidence.items()}
    values = {name: asdict(it) | more.get(name, {}) for name, it in metrics.items()}
    (folder / "metrics.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    curves = {name: judged.curve for name, judged in sets.items()}
    figures.save(figures.roc_figure(title, metrics, curves), folder / "roc.png")
    if evidence:
        rows = [row for it in evidence.values() for row in it.slides]
        (folder / "slides.csv").write_text(slide_csv(rows), encoding="utf-8")
        figures.save(figures.precision_recall_figure(title, metrics, evidence), folder / "precision_recall.png")
        figures.save(figures.calibration_figure(title, evidence), folder / "calibration.png")
        figures.save(figures.confusion_figure(title, metrics, evidence), folder / "confusion.png")
    return table
