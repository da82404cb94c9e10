"""Files in YAML."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from tfdl.errors import UserError

# libyaml's loader is several times faster. PyYAML may have been built without it.
# It ends the process where mappings and lists are nested thousands of times. Every level needs one of these marks.
_MARKS_OF_LEVELS = "[{-?:"
_MOST_LEVELS = 1000
# PyYAML passes on those of Python for a value that is not of its tag, such as `!!int ''`.
_ERRORS_OF_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError)


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Reads one mapping.

    Raises:
        UserError: no such file, not YAML (with line and column), or not a mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read configuration {str(path)!r} ({_reason(error)}); expected a YAML file") from error
    values = parse_yaml(text, str(path))
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"{path} holds a {type(values).__name__}, expected a mapping of keys such as `epochs: 10`")
    return values


def parse_yaml(text: str, where: str) -> Any:
    """Plain values from a text in YAML.

    Args:
        text: the text.
        where: what the text is, for the message.

    Raises:
        UserError: not YAML.
    """
    quick_loader = getattr(yaml, "CSafeLoader", None)
    most_levels = sum(text.count(mark) for mark in _MARKS_OF_LEVELS)
    if quick_loader is not None and most_levels <= _MOST_LEVELS:
        with suppress(*_ERRORS_OF_YAML):
            return yaml.load(text, Loader=quick_loader)
    # Python's loader has the message.
    try:
        return yaml.safe_load(text)
    except (*_ERRORS_OF_YAML, RecursionError) as error:
        raise UserError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error


def _reason(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8 text"
    return error.strerror or str(error)
