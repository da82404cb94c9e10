"""Files in YAML."""

from pathlib import Path
from typing import Any

import yaml

from tfdl.errors import UserError

# libyaml's loader, which PyYAML may have been built without, ends the process where mappings and lists are nested
# thousands of times. Every level needs at least one of these characters.
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


def load_yaml_quickly(path: str | Path) -> dict[str, Any]:
    """Reads one mapping as ``load_yaml`` does, but several times faster where libyaml is installed: for many files.

    Raises:
        UserError: as for ``load_yaml``.
    """
    loader = getattr(yaml, "CSafeLoader", None)
    if loader is None:
        return load_yaml(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
        most_levels = sum(text.count(mark) for mark in _MARKS_OF_LEVELS)
        values = yaml.load(text, Loader=loader) if most_levels <= _MOST_LEVELS else None
    except (OSError, *_ERRORS_OF_YAML):
        values = None
    # What is no mapping is read again, for the message.
    return values if isinstance(values, dict) else load_yaml(path)


def parse_yaml(text: str, where: str) -> Any:
    """Plain values from a text in YAML.

    Args:
        text: the text.
        where: what the text is, for the message.

    Raises:
        UserError: not YAML.
    """
    try:
        return yaml.safe_load(text)
    except (*_ERRORS_OF_YAML, RecursionError) as error:
        raise UserError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error


def _reason(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8 text"
    return error.strerror or str(error)
