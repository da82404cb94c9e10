"""One panel of curves: lines over steps, with their labels beside their ends."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfdl.reporting.drawing.lines import Line, spread_out
from tfdl.reporting.drawing.palette import LINE_STYLES, MARKERS, Palette
from tfdl.reporting.facts.curves import Series
from tfdl.reporting.text_values import large

# Values that span more than this factor are drawn on a logarithmic scale.
_LOG_FACTOR = 20.0
# Below this factor a logarithmic scale has ticks between the powers of ten.
_FEW_POWERS = 1000.0
# Height of a label, as a share of the height of the axes.
_LABEL_GAP = 0.085
_MOST_LABELS = 11
# A line that ends before this share of the width has its label at its end, and not beside the panel.
_EARLY = 0.8
_FONT_SIZE = 9.5


@dataclass(frozen=True)
class Panel:
    """What a panel shows."""

    name: str
    """Part of file names and ids."""
    title: str
    lines: tuple[Line, ...]
    epochs: Series
    """Epochs done at some steps, for the second axis; empty for none."""
    marks: tuple[int, ...]
    """Steps that are marked, at which the ranks changed."""
    may_be_log: bool = True
    """Whether the scale may be logarithmic."""
    from_zero: bool = False
    """Whether a linear scale begins at 0, for values of which ratios matter."""


def draw_panel(axes: Any, panel: Panel, palette: Palette) -> None:
    """Draws a panel.

    Args:
        axes: of matplotlib.
        panel: what is drawn.
        palette: the colours.
    """
    from matplotlib.ticker import LogLocator

    is_log = panel.may_be_log and is_logarithmic(panel.lines)
    if is_log:
        axes.set_yscale("log")
    _style(axes, palette)
    if is_log and _span(panel.lines) < _FEW_POWERS:
        # With powers of ten alone, few values have a tick near them.
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.set_title(panel.title, loc="left", color=palette.ink, fontsize=_FONT_SIZE + 1, fontweight="bold", pad=21)
    for line in panel.lines:
        _draw_line(axes, line, palette)
    axes.set_xlim(left=0)
    if panel.from_zero and not is_log:
        axes.set_ylim(bottom=0)
    if not any(value for line in panel.lines for value in line.series.values):
        axes.set_ylim(0, 1)  # everything is 0
    for step in panel.marks:
        axes.axvline(step, color=palette.muted, linewidth=0.8, linestyle=(0, (2, 3)), zorder=1)
    _label_ends(axes, [line for line in panel.lines if line.label], palette)
    _epoch_axis(axes, panel.epochs, palette)


def is_logarithmic(lines: Sequence[Line]) -> bool:
    """Whether the values are positive and span a large factor.

    Args:
        lines: of the panel.
    """
    values = [value for line in lines for value in line.series.values]
    return bool(values) and min(values) > 0 and _span(lines) > _LOG_FACTOR


def _span(lines: Sequence[Line]) -> float:
    """The largest value divided by the smallest one, of positive values."""
    values = [value for line in lines for value in line.series.values]
    return max(values) / min(values)


def _style(axes: Any, palette: Palette) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_facecolor("none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(palette.grid)
    axes.grid(visible=True, color=palette.grid, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=palette.muted, labelsize=_FONT_SIZE - 1, length=3, which="both")
    axes.tick_params(which="minor", labelleft=False)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: _tick(step)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    axes.set_xlabel("step", color=palette.muted, fontsize=_FONT_SIZE - 1)


def _tick(value: float) -> str:
    """A value beside an axis, in a few characters."""
    if abs(value) >= 100_000:
        return large(value).replace(" ", "")
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _draw_line(axes: Any, line: Line, palette: Palette) -> None:
    color = palette.color(line.look)
    style: dict[str, Any] = {"color": color, "linewidth": 1.8, "linestyle": LINE_STYLES[line.look % len(LINE_STYLES)]}
    if line.is_thin:
        style |= {"linewidth": 0.8, "alpha": 0.4, "linestyle": "solid"}
    if line.has_markers or len(line.series) == 1:
        style |= {
            "marker": MARKERS[line.look % len(MARKERS)],
            "markersize": 4.5,
            "markevery": max(1, len(line.series) // 12),
            "markerfacecolor": palette.surface,
            "markeredgewidth": 1.4,
        }
    axes.plot(line.series.steps, line.series.values, **style)


def _label_ends(axes: Any, lines: Sequence[Line], palette: Palette) -> None:
    """Writes the lines' names beside their ends, in place of a legend."""
    shown = [line for line in lines if len(line.series)][:_MOST_LABELS]
    to_axes = (axes.transData + axes.transAxes.inverted()).transform
    ends = [to_axes((line.series.steps[-1], line.series.values[-1])) for line in shown]
    heights = [float(height) if math.isfinite(height) else 0.5 for _, height in ends]
    places = spread_out(heights, _LABEL_GAP, 0.03, 0.97)
    for line, (end, height), place in zip(shown, ends, places, strict=True):
        ends_early = end < _EARLY
        axes.text(
            end + 0.02 if ends_early else 1.02,
            height + 0.03 if ends_early else place,
            line.label,
            transform=axes.transAxes,
            color=palette.color(line.look),
            fontsize=_FONT_SIZE - 0.5,
            fontweight="bold",
            va="bottom" if ends_early else "center",
            parse_math=False,
        )


def _epoch_axis(axes: Any, epochs: Series, palette: Palette) -> None:
    """The epochs above the panel, if there are at least two of them."""
    from matplotlib.ticker import MaxNLocator

    whole = [(step, epoch) for step, epoch in zip(epochs.steps, epochs.values, strict=True) if epoch >= 1]
    if len({epoch for _, epoch in whole}) < 2:
        return
    low, high = axes.get_xlim()
    # Each number once, at the first step that has it.
    steps_by_epoch: dict[float, int] = {}
    for step, epoch in whole:
        if low <= step <= high:
            steps_by_epoch.setdefault(epoch, step)
    chosen = [
        epoch for epoch in MaxNLocator(5, integer=True).tick_values(1, max(steps_by_epoch)) if epoch in steps_by_epoch
    ]
    if not chosen:
        return
    upper = axes.secondary_xaxis("top")
    upper.set_xticks([steps_by_epoch[epoch] for epoch in chosen], [f"{epoch:,.0f}" for epoch in chosen])
    upper.tick_params(colors=palette.muted, labelsize=_FONT_SIZE - 2, length=2, pad=1)
    upper.spines["top"].set_visible(False)
    upper.set_xlabel("epoch", color=palette.muted, fontsize=_FONT_SIZE - 2, loc="right", labelpad=2)
