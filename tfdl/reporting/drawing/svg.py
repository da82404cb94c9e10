"""A figure as SVG within a page."""

import io
import re
from typing import Any

from tfdl.reporting.drawing.palette import with_variables

# The style would hold for the whole page.
_UNNEEDED = re.compile(
    r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>|<title>.*?</title>|<style.*?</style>", re.DOTALL
)
_NAMESPACES = re.compile(r' (xmlns(:\w+)?|version)="[^"]*"')
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(url\(#|href="#)([^")]*)')
_FONT = re.compile(r"font-family: [^;\"]*")
_PATH = re.compile(r' (?:d|x|y|transform)="[^"]*"')
_LONG_NUMBER = re.compile(r"(\d+\.\d\d)\d+")
_SIZE = re.compile(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>')
_BETWEEN_TAGS = re.compile(r">\s*\n\s*<")


def inline_svg(figure: Any, name: str, description: str) -> str:
    """Draws a figure as an ``<svg>`` element whose text is text and whose colours are CSS variables.

    The same figure has the same bytes every time.

    Args:
        figure: of matplotlib, drawn in the colours of ``VARIABLES``.
        name: begins each id, so that several figures fit into one page.
        description: what a reader who does not see the figure should know; plain text.
    """
    from markupsafe import escape
    from matplotlib import rc_context

    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata=nothing, transparent=True)
    svg = _UNNEEDED.sub("", file.getvalue()).strip()
    svg = _NAMESPACES.sub("", svg).replace("xlink:href", "href")
    svg = _with_own_ids(svg, name)
    svg = _FONT.sub("font-family: var(--font)", svg)
    svg = _PATH.sub(lambda found: _LONG_NUMBER.sub(r"\1", found[0]).replace("\n", ""), svg)
    start = f'<svg viewBox="{_SIZE.findall(svg)[0]}" role="img" aria-label="{escape(description)}">'
    svg = _SIZE.sub(lambda _: start, svg, count=1)
    return _BETWEEN_TAGS.sub("><", with_variables(svg))


def _with_own_ids(svg: str, name: str) -> str:
    """Ids that begin with a name; those that nothing refers to are left out."""
    used = {reference for _, reference in _REFERENCE.findall(svg)}

    def renamed(found: re.Match[str]) -> str:
        return f' id="{name}-{found[1]}"' if found[1] in used else ""

    svg = _ID.sub(renamed, svg)
    return _REFERENCE.sub(rf"\1{name}-\2", svg)
