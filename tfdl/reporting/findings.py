"""What a report has found out, as sentences and as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["good", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One finding."""

    name: str
    """What it is about, such as ``guessing`` or ``best_checkpoint``."""
    kind: Kind
    text: str
    """In one sentence or two."""
    run: str = ""
    """The name of the run; empty for a finding about all runs."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The numbers of the text, as plain data."""
