"""Figures: each panel by itself for the page, all panels in one PNG file."""

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfdl.reporting.clean_text import SHORT, clean, shortened
from tfdl.reporting.drawing.curve_panel import Panel, draw_panel
from tfdl.reporting.drawing.palette import LIGHT, VARIABLES
from tfdl.reporting.drawing.svg import inline_svg

# Width and height of a panel in inches; a point of the page is 1/72 of one.
_PANEL_SIZE = (4.5, 2.7)
# Where the axes are within a panel. All panels have the same margins, so that their axes are aligned. Margins that
# matplotlib computes would take half of the time.
_LEFT, _RIGHT, _BOTTOM, _TOP = 0.13, 0.81, 0.17, 0.785
# Above the panels of a PNG file, in inches.
_HEADING = 0.45
_LONGEST_TITLE = 70
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
    draw_panel(figure.add_axes((_LEFT, _BOTTOM, _RIGHT - _LEFT, _TOP - _BOTTOM)), panel, VARIABLES)
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
    whole = (width * num_columns, height * num_rows + _HEADING)
    figure = _figure(whole)
    for number, panel in enumerate(panels):
        row, column = divmod(number, num_columns)
        left = (column + _LEFT) * width
        bottom = (num_rows - 1 - row + _BOTTOM) * height
        size = ((_RIGHT - _LEFT) * width, (_TOP - _BOTTOM) * height)
        place = (left / whole[0], bottom / whole[1], size[0] / whole[0], size[1] / whole[1])
        draw_panel(figure.add_axes(place), panel, LIGHT)
    shown = _one_line(title, _LONGEST_TITLE)
    figure.text(0.02, 1 - _HEADING / 2 / whole[1], shown, color=LIGHT.ink, fontsize=12, va="center", parse_math=False)
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
    figure = _figure((inches, inches), layout="constrained")  # names may be long
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    labels = [_one_line(name, SHORT) for name in names]
    axes.set_xticks(range(size), labels, rotation=90, fontsize=8, color=LIGHT.ink, parse_math=False)
    axes.set_yticks(range(size), labels, fontsize=8, color=LIGHT.ink, parse_math=False)
    axes.set_xlabel("predicted class", color=LIGHT.muted)
    axes.set_ylabel("true class", color=LIGHT.muted)
    axes.set_title(_one_line(title, _LONGEST_TITLE), loc="left", color=LIGHT.ink, fontsize=11, parse_math=False)
    for row, column in zip(*np.nonzero(counts), strict=True):
        color = "#ffffff" if shares[row, column] > 0.5 else LIGHT.ink
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=7.5, color=color)
    return _png(figure)


def _one_line(text: str, most: int) -> str:
    """A text that a figure can contain."""
    return shortened(" ".join(str(clean(text)).split()), most)


def _figure(size: tuple[float, float], layout: str | None = None) -> Any:
    """An empty figure. It belongs to no window and to no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout=layout)  # type: ignore[arg-type]


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        # A name may have letters that the font does not have; they are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(file, format="png", dpi=_DPI, facecolor=LIGHT.surface, metadata={"Software": None})
    return file.getvalue()
