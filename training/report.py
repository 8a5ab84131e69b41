"""What people look at: the table of metrics and the ROC curves of some judged sets."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from training.metrics import BinaryMetrics, RocCurve, binary_metrics, roc_points


@dataclass(frozen=True)
class Judged:
    """One set with its table and its curve."""

    metrics: BinaryMetrics
    curve: RocCurve


def judge(labels: ArrayLike, probabilities: ArrayLike, threshold: float) -> Judged:
    """Table and curve of one set; see `metrics.binary_metrics`."""
    return Judged(binary_metrics(labels, probabilities, threshold), roc_points(labels, probabilities))


def metrics_table(title: str, sets: Mapping[str, BinaryMetrics]) -> str:
    """The metrics as Markdown, one column per set.

    Args:
        title: heading.
        sets: metrics by the name of the set.
    """
    lines = [f"## {title}", "", f"| metric | {' | '.join(sets)} |", "|---|" + "---:|" * len(sets)]
    for name in (field.name for field in fields(BinaryMetrics)):
        values = [_shown(getattr(metrics, name)) for metrics in sets.values()]
        lines.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def save_report(folder: Path, title: str, sets: Mapping[str, Judged]) -> str:
    """Write `metrics.md`, `metrics.json` and `roc.png`.

    Args:
        folder: where to; it exists.
        title: heading of table and plot.
        sets: what was judged, by name.

    Returns:
        The table as Markdown, for printing.
    """
    table = metrics_table(title, {name: judged.metrics for name, judged in sets.items()})
    (folder / "metrics.md").write_text(table, encoding="utf-8")
    values = {name: asdict(judged.metrics) for name, judged in sets.items()}
    (folder / "metrics.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    save_roc(folder / "roc.png", title, sets)
    return table


def save_roc(path: Path, title: str, sets: Mapping[str, Judged]) -> None:
    """Draw the ROC curves, with a dot where each threshold cuts.

    Args:
        path: PNG file to write.
        title: above the plot.
        sets: what was judged, by name.
    """
    figure = Figure(figsize=(5.2, 5.2), layout="constrained")  # not pyplot, which looks for a display
    axes = figure.subplots()
    for name, judged in sets.items():
        curve, metrics = judged.curve, judged.metrics
        label = f"{name}: AUC {metrics.auc:.4f}, {metrics.positives:,} of {metrics.patches:,} positive"
        (line,) = axes.plot(curve.false_positive_rate, curve.true_positive_rate, label=label, linewidth=2)
        axes.plot(1 - metrics.specificity, metrics.sensitivity, "o", color=line.get_color())
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", linewidth=1)
    axes.set(
        title=title,
        xlabel="1 - specificity",
        ylabel="sensitivity",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        aspect="equal",
    )
    axes.grid(color="0.92")
    axes.legend(loc="lower right", fontsize=9)
    figure.savefig(path, dpi=150)


def _shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.5f}"
