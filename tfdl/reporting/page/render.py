"""Renders the page: one file without anything from outside."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import tfdl
from tfdl.reporting.clean_text import SHORT, clean, shortened
from tfdl.reporting.comparison import ABSENT, Comparison
from tfdl.reporting.findings import Finding
from tfdl.reporting.page.run_view import RunView
from tfdl.reporting.text_values import change, checkpoint_words, count, counted, number, percent, setting, tenths

_TEMPLATES = Path(__file__).parent / "templates"
# Characters of a name in a table.
_LONGEST_NAME = 80
_DIGEST = re.compile(r"[0-9a-f]{64}")
GENERATOR = "tfdl report"
"""The page names it, so that an earlier report is recognized."""


@dataclass(frozen=True)
class Page:
    """What a page shows."""

    title: str
    views: Sequence[RunView]
    findings: Sequence[Finding]
    """Those about all runs."""
    comparison: Comparison | None
    """None for a single run."""
    compared_figures: Sequence[str]
    note: str
    """Why parts are missing; empty if none is."""


def render(page: Page) -> str:
    """Returns the page as HTML.

    The page names no address, and a policy within it forbids to load anything. It is readable without its script.

    Args:
        page: what it shows.
    """
    environment = _environment()
    script = _source("sort.js")
    values: Mapping[str, Any] = {
        "page": page,
        "generator": GENERATOR,
        "versions": _versions(),
        "style": environment.filters["plain"](_source("style.css")),
        "script": environment.filters["plain"](script),
        "script_digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return environment.get_template("report.html").render(values)


def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.filters |= {
        "plain": Markup,
        "number": number,
        "change": change,
        "percent": percent,
        "count": count,
        "counted": counted,
        "tenths": tenths,
        "checkpoint": checkpoint_words,
        "setting": _setting,
        "halved": _halved,
        "short": lambda text, most=_LONGEST_NAME: shortened(text, most),
        "heading": lambda text: shortened(text, SHORT),
    }
    return environment


def _finalized(value: Any) -> Any:
    """Cleans texts; markup is the page's own."""
    from markupsafe import Markup

    return value if isinstance(value, Markup) else clean(value)


def _halved(value: Any) -> Any:
    """A value; the digest of weights may be broken in its middle, so that no single character has a line."""
    from markupsafe import Markup

    text = str(value)
    if not _DIGEST.fullmatch(text):
        return value
    middle = len(text) // 2
    return Markup(f"{text[:middle]}<wbr>{text[middle:]}")


def _setting(value: Any) -> str:
    return "–" if value is ABSENT else setting(value)


def _source(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _versions() -> str:
    """What made the report, without importing it."""
    parts = [f"tfdl {tfdl.__version__}"]
    for title, package in (("TensorFlow", "tensorflow"), ("Keras", "keras")):
        try:
            parts.append(f"{title} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue  # tensorflow-cpu and others have another name
    return ", ".join(parts)
