"""Texts of data sets and files that may contain anything, as texts of a page."""

import re
from typing import Any

SHORT = 24
"""Characters of a name in a small place, such as a column's heading."""

# Control characters without line ends and tabs, halves of characters, and what is no character at all.
_NOT_SHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(value: Any) -> Any:
    """A text in which what a page cannot contain is U+FFFD, the replacement character; other values as they are.

    Args:
        value: of an expression of a template.
    """
    if not isinstance(value, str):
        return value
    return _NOT_SHOWN.sub("\ufffd", value.replace("\r\n", "\n"))


def quoted(name: str, most: int = 40) -> str:
    """A name, such as that of a class, in a sentence.

    Args:
        name: the whole name; its line ends become spaces.
        most: characters of the name.
    """
    return f"'{shortened(' '.join(name.split()), most)}'"


def shortened(text: str, most: int) -> str:
    """A text that ends with an ellipsis if it has more characters.

    Args:
        text: the whole text.
        most: characters.
    """
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
