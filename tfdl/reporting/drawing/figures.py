"""Figures: each panel by itself for the page, all panels in one PNG file."""

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfdl.reporting.drawing.curve_panel import Panel, draw_panel
from tfdl.reporting.drawing.palette import LIGHT, VARIABLES
from tfdl.reporting.drawing.svg import inline_svg

# In inches; a point of the page is 1/72 of it.
_PANEL_SIZE = (5.2, 2.9)
# Dots of a PNG file for each point, times 72: twice the resolution of the page.
_DPI = 144


def panel_svg(panel: Panel, prefix: str, description: str) -> str:
    """A panel as an ``<svg>`` element.

    Args:
        panel: what is drawn.
        prefix: begins the ids, and is unique in the page.
        description: for readers who do not see the figure.
    """
    figure = _figure(_PANEL_SIZE)
    draw_panel(figure.subplots(), panel, VARIABLES)
    return inline_svg(figure, f"{prefix}-{panel.name}", description)


def panels_png(panels: Sequence[Panel], title: str) -> bytes:
    """All panels as one PNG file with a light background.

    Args:
        panels: what is drawn, at least one.
        title: above the panels.
    """
    num_columns = min(2, len(panels))
    num_rows = -(-len(panels) // num_columns)
    width, height = _PANEL_SIZE
    figure = _figure((width * num_columns, height * num_rows + 0.4))
    axes = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for place, panel in zip(axes, panels, strict=False):
        draw_panel(place, panel, LIGHT)
    for place in axes[len(panels) :]:
        place.set_visible(False)
    figure.suptitle(title, color=LIGHT.ink, fontsize=12, x=0.01, ha="left", parse_math=False)
    return _png(figure)


def confusion_png(counts: np.ndarray, names: Sequence[str], title: str) -> bytes:
    """A confusion matrix as a PNG file. Colours are shares of a row; cells have the counts.

    Args:
        counts: ``(classes, classes)``, the row is the true class.
        names: of the classes.
        title: above the matrix.
    """
    size = len(names)
    inches = min(14.0, 2.2 + 0.45 * size)
    figure = _figure((inches, inches))
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(size), names, rotation=90, fontsize=8, color=LIGHT.ink, parse_math=False)
    axes.set_yticks(range(size), names, fontsize=8, color=LIGHT.ink, parse_math=False)
    axes.set_xlabel("predicted class", color=LIGHT.muted)
    axes.set_ylabel("true class", color=LIGHT.muted)
    axes.set_title(title, loc="left", color=LIGHT.ink, fontsize=11, parse_math=False)
    for row, column in zip(*np.nonzero(counts), strict=True):
        color = "#ffffff" if shares[row, column] > 0.5 else LIGHT.ink
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=7.5, color=color)
    return _png(figure)


def _figure(size: tuple[float, float]) -> Any:
    """An empty figure. It belongs to no window and to no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        # A name may have letters that the font does not have; they are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(file, format="png", dpi=_DPI, facecolor=LIGHT.surface, metadata={"Software": None})
    return file.getvalue()
