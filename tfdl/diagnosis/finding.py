"""What a look at this machine brought to light."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    level: Level
    found: str
    mend: str = ""
    """The command or the change that puts it right; empty when nothing is wrong."""
