"""Figures in words, for readers who do not see them."""

from tfdl.reporting.drawing.curve_panel import Panel
from tfdl.reporting.text_values import count, number


def describe_panel(panel: Panel) -> str:
    """What a panel shows: where each line begins and ends.

    Args:
        panel: the panel.
    """
    parts = []
    for line in panel.lines:
        series = line.series
        if line.is_thin or not len(series):
            continue
        name = f"{line.label}: " if line.label else ""
        steps = f"step {count(series.steps[0])} to {count(series.steps[-1])}"
        parts.append(f"{name}from {number(series.values[0])} to {number(series.values[-1])}, {steps}")
    return f"{panel.title}. {'; '.join(parts)}."
