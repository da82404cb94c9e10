"""Figures: lines, labels, and SVG that fits into a page."""

import io
import re

import numpy as np
import pytest
from lxml import etree
from PIL import Image

from tfdl.reporting.drawing.curve_panel import Panel, is_logarithmic
from tfdl.reporting.drawing.figures import confusion_png, panel_svg, panels_png
from tfdl.reporting.drawing.lines import Line, smoothed, spread_out, thinned
from tfdl.reporting.facts.curves import Series


def series(values):
    return Series(tuple(range(10, 10 * len(values) + 10, 10)), tuple(values))


def panel(name="loss", **changes):
    lines = (
        Line("training", series([10.0, 1.0, 0.1]), 0),
        Line("validation", series([9.0, 2.0, 0.5]), 1, has_markers=True),
    )
    parts = {"name": name, "title": "Loss", "lines": lines, "epochs": Series((10, 30), (1, 2)), "marks": (20,)}
    return Panel(**{**parts, **changes})


def test_a_long_line_is_thinned_to_means():
    line = thinned(series([float(value) for value in range(1000)]), most=100)
    assert len(line) == 100
    assert line.values[0] == np.mean(range(10))
    assert (line.steps[0], line.steps[-1]) == (100, 10_000)
    assert thinned(series([1.0, 2.0])) == series([1.0, 2.0])


def test_smoothing_keeps_a_constant_and_damps_noise():
    constant = smoothed(series([3.0] * 50))
    assert constant.values == pytest.approx([3.0] * 50)
    noise = np.random.default_rng(0).normal(size=400)
    assert np.std(smoothed(series(noise.tolist())).values) < 0.5
    assert smoothed(series([1.0, 2.0])) is None


@pytest.mark.parametrize("places", [[0.5, 0.5, 0.5], [0.97, 0.96, 0.1], [0.0, 0.01, 0.02], [0.99], []])
def test_labels_do_not_overlap(places):
    found = spread_out(places, 0.1, 0.0, 1.0)
    assert all(0 <= place <= 1 for place in found)
    assert all(after - before >= 0.1 - 1e-9 for before, after in zip(sorted(found), sorted(found)[1:], strict=False))
    assert np.argsort(found, kind="stable").tolist() == np.argsort(places, kind="stable").tolist()


@pytest.mark.parametrize(("values", "expected"), [([1, 30], True), ([1, 10], False), ([0, 30], False), ([], False)])
def test_when_the_scale_is_logarithmic(values, expected):
    assert is_logarithmic([Line("", series(values), 0)]) is expected


def test_an_svg_element():
    svg = panel_svg(panel(), "run-A", 'a "description" <of> the panel')
    root = etree.fromstring(svg)  # it is well-formed
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'a "description" <of> the panel'
    assert not re.findall(r"https?:|<style|<metadata|<script", svg)
    words = ["".join(text.itertext()) for text in root.iter("text")]
    assert {"Loss", "training", "validation", "step", "epoch", "1", "2"} <= set(words)
    # Colours are variables of the page, and references lead to ids of this figure.
    assert not re.findall(r"#[0-9a-f]{6}", svg)
    assert {"var(--series-0)", "var(--series-1)", "var(--ink)"} <= set(re.findall(r"var\(--[\w-]+\)", svg))
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    references = set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
    assert references == set(ids)
    assert len(ids) == len(set(ids))
    assert all(each.startswith("run-A-loss-") for each in ids)


def test_the_same_figure_has_the_same_bytes():
    assert panel_svg(panel(), "a", "x") == panel_svg(panel(), "a", "x")
    assert panels_png([panel()], "x") == panels_png([panel()], "x")


@pytest.mark.parametrize("lines", [(Line("a", series([0.0]), 0),), (Line("a", series([-1.0, 2.0]), 0),)])
def test_lines_that_are_short_or_negative(lines):
    assert panel_svg(panel(lines=lines, epochs=Series()), "a", "x").startswith("<svg ")


def test_lines_can_be_told_apart_without_colour():
    svg = panel_svg(panel(), "a", "x")
    paths = [path.get("style") for path in etree.fromstring(svg).iter("path")]
    (training,) = [style for style in paths if "var(--series-0)" in style and "stroke-linecap: square" in style]
    (validation,) = [style for style in paths if "var(--series-1)" in style and "stroke-dasharray" in style]
    assert "stroke-dasharray" not in training
    assert training != validation


@pytest.mark.parametrize("num_panels", [1, 2, 3])
def test_png_files(num_panels):
    image = Image.open(io.BytesIO(panels_png([panel() for _ in range(num_panels)], "$x_$ \ud800 <b>")))
    assert image.format == "PNG"
    assert image.width == (648 if num_panels == 1 else 1296)


def test_a_confusion_matrix_with_any_names():
    names = ["$x", "\ud800\x00", "a" * 500]
    image = Image.open(io.BytesIO(confusion_png(np.array([[3, 0, 0], [0, 0, 0], [1, 2, 3]]), names, "title")))
    assert image.width < 1000


def test_a_logarithmic_scale_has_ticks_between_few_powers_of_ten():
    """A rate of 0.05 has a tick near it."""
    svg = panel_svg(panel(lines=(Line("", series([0.05, 0.01, 0.001]), 0),), epochs=Series()), "a", "x")
    words = {"".join(text.itertext()) for text in etree.fromstring(svg).iter("text")}
    assert {"0.05", "0.02", "0.01", "0.001"} <= words
    wide = panel_svg(panel(lines=(Line("", series([1.0, 1e-6]), 0),), epochs=Series()), "a", "x")
    assert "0.05" not in {"".join(text.itertext()) for text in etree.fromstring(wide).iter("text")}
