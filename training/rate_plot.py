"""The figure of a learning-rate range test."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from training.rate_range import RangePoint


def rate_figure(points: Sequence[RangePoint], steepest: float | None, tenth: float | None) -> Figure:
    """The loss over the rate, raw and smoothed, with a line at each suggestion.

    Args:
        points: the steps, in their order.
        steepest, tenth: the suggestions, if any.
    """
    figure = Figure(figsize=(7, 4.4), layout="constrained")  # not pyplot, which looks for a display
    axes = figure.subplots()
    axes.plot([point.rate for point in points], [point.loss for point in points], ".", color="0.65", label="each step")
    rates, losses = [point.smoothed_rate for point in points], [point.smoothed_loss for point in points]
    axes.plot(rates, losses, color="#0072B2", linewidth=2, label="smoothed")
    if steepest is not None:
        axes.axvline(steepest, color="#D55E00", linestyle=(0, (5, 2)), label=f"falls fastest: {steepest:.2g}")
    if tenth is not None:
        axes.axvline(tenth, color="#009E73", linestyle=(0, (1, 1)), label=f"a tenth of the lowest loss's: {tenth:.2g}")
    if losses:
        # The explosion is a fact; drawn in full it would flatten all that came before it.
        low, start = min(losses), losses[0]
        axes.set_ylim(low - 0.25 * (start - low) - 0.02, start + 1.0 * (start - low) + 0.02)
    axes.set(title="Learning-rate range test", xscale="log", xlabel="learning rate", ylabel="training loss")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", fontsize=9)
    return figure
