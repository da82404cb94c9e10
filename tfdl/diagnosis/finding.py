"""The result of one check of this machine."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    subject: str
    """What was checked, such as ``Horovod``."""
    level: Level
    found: str
    """What was found, such as a version."""
    mend: str = ""
    """The command or the change that fixes it; empty when nothing is wrong."""
