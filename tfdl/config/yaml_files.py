"""Files in YAML."""

from pathlib import Path
from typing import Any

import yaml

from tfdl.config.yaml_nodes import check_nodes
from tfdl.errors import UserError

MOST_BYTES = 2**18
"""The largest configuration that is read. Those that tfdl writes have some thousand bytes."""

# libyaml's loader is several times faster. PyYAML may have been built without it.
# It ends the process where mappings and lists are nested thousands of times. Every level needs one of these marks.
_MARKS_OF_LEVELS = "[{-?:"
_MOST_LEVELS = 1000
# PyYAML passes on those of Python for a value that is not of its tag, such as `!!int ''`.
_ERRORS_OF_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError)


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Reads one mapping.

    Raises:
        UserError: no such file, a file that is too large, empty, not YAML (with line and column), or not a mapping.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read configuration {str(path)!r} ({_reason(error)}); expected a YAML file") from error
    if len(content) > MOST_BYTES:
        raise UserError(f"{path} has more than {MOST_BYTES:,} bytes, expected a configuration")
    if not text.strip():
        raise UserError(f"{path} is empty, expected a configuration with keys such as `epochs: 10`")
    values = parse_yaml(text, str(path))
    if values is None:  # comments alone
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
        try:
            return _values(text, quick_loader, where)
        except UserError:
            raise
        except _ERRORS_OF_YAML:
            pass
    # Python's loader has the message.
    try:
        return _values(text, yaml.SafeLoader, where)
    except UserError:
        raise
    except (*_ERRORS_OF_YAML, RecursionError) as error:
        raise UserError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error


def _values(text: str, loader_class: Any, where: str) -> Any:
    """The plain values of a text, whose nodes are checked before any value is made of them."""
    loader = loader_class(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        check_nodes(node, where)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _reason(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8 text"
    return error.strerror or str(error)
