"""Where configuration comes from, and its order: YAML (``--config``) < ``--set`` < option."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tfdl.config.mapping import to_mapping
from tfdl.config.train import TrainConfig
from tfdl.errors import UserError

# Fields that may be given by name alone, and become mappings when a key below them is set.
_SECTIONS = ("model", "dataset", "tokenizer", "optimizer", "schedule")
# What stays of a section when another name, or another preset, takes the place of the old one.
_KEPT = {"name": ("data_dir",), "preset": ("name",)}


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Reads one mapping.

    Raises:
        UserError: no such file, not YAML (with line and column), or not a mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read configuration {str(path)!r} ({_reason(error)}); expected a YAML file") from error
    values = _parse(text, str(path))
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"{path} holds a {type(values).__name__}, expected a mapping of keys such as `epochs: 10`")
    return values


def assignment(text: str) -> tuple[str, Any]:
    """``"model.units=256"`` -> ``("model.units", 256)``; the value is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {text!r}, expected KEY=VALUE such as model.units=256")
    return key.strip(), _parse(value, f"--set {key}")


def compose(*layers: Mapping[str, Any]) -> TrainConfig:
    """Joins layers of dotted or nested keys, later ones winning, into a checked configuration."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            _assign(merged, str(key).split("."), value)
    return TrainConfig.from_mapping(merged)


def to_yaml(config: TrainConfig) -> str:
    """The text of ``config.yaml``."""
    return yaml.safe_dump(to_mapping(config), sort_keys=False)


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error


def _assign(target: dict[str, Any], path: list[str], value: Any) -> None:
    """Sets one nested key. A section given by name becomes that name's mapping; a new name drops the old fields."""
    head, *rest = path
    if not rest and isinstance(value, Mapping) and head in _SECTIONS:
        for key, item in _name_first(value):
            _assign(target, [head, key], item)
    elif not rest and head in _SECTIONS and isinstance(value, str):
        _assign(target, [head, "name"], value)
    elif not rest:
        target[head] = value
    else:
        if target.get(head) is None:
            target[head] = {}
        section = target[head]
        if not isinstance(section, dict):
            raise UserError(f"unknown key {'.'.join(path)!r}: {head!r} is a single value, not a section")
        if rest in (["name"], ["preset"]) and section.get(rest[0], value) != value:
            section = target[head] = {key: section[key] for key in _KEPT[rest[0]] if key in section}
        _assign(section, rest, value)


def _name_first(section: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """A name drops what was set before it, and a preset too: both come before the fields that are meant for them."""
    order = ("name", "preset")
    items = [(str(key), value) for key, value in section.items()]
    return sorted(items, key=lambda item: order.index(item[0]) if item[0] in order else len(order))


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8 text"
