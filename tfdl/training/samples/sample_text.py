"""Samples that are texts, as Markdown."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

_LONGEST = 400
_LINE = 110
# Control characters without line ends and tabs, and halves of characters.
_NOT_SHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class SampleText:
    """A sample and what the model made of it."""

    parts: dict[str, str]
    """What a part is, such as ``written``, -> the text."""


def as_markdown(samples: Sequence[SampleText]) -> str:
    """The samples one after the other, numbered.

    Texts become blocks of code: nothing in them is read as Markdown or HTML.

    Args:
        samples: of which each part is cut to 400 characters.
    """
    blocks = []
    for number, sample in enumerate(samples, 1):
        blocks.append(f"**{number}**")
        for name, text in sample.parts.items():
            blocks.append(f"{name}:")
            blocks.append(_block(text))
    return "\n\n".join(blocks) + "\n"


def _block(text: str) -> str:
    """A block of code. Markdown ends it at a line that is not indented, so each line is, also an empty one."""
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    clean = _NOT_SHOWN.sub("\ufffd", short.replace("\r\n", "\n")).expandtabs(4)
    lines: list[str] = []
    for line in clean.split("\n"):
        lines += textwrap.wrap(line, _LINE, drop_whitespace=False, replace_whitespace=False) or [""]
    return "\n".join(f"    {line}" for line in lines)
