"""Figures of a report, as SVG for the page and as PNG files."""
