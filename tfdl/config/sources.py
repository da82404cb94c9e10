"""Configuration from YAML (``--config``), ``--set`` and options; each overrides the one before."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import yaml

from tfdl.config.mapping import to_mapping
from tfdl.config.train import TrainConfig
from tfdl.config.yaml_files import parse_yaml
from tfdl.errors import UserError

# Paths of the fields that may be given by name alone, and become mappings when a key below them is set.
_SECTIONS = {("model",), ("dataset",), ("tokenizer",), ("optimizer",), ("optimizer", "schedule")}
# Fields that a section keeps when its name or its preset changes.
_KEPT = {"name": ("data_dir",), "preset": ("name",)}


def assignment(text: str, option: str = "--set", example: str = "model.units=256") -> tuple[str, Any]:
    """``"model.units=256"`` -> ``("model.units", 256)``; the value is read as YAML.

    Args:
        text: the key and the value.
        option: where it is from, for messages.
        example: an assignment, for messages.

    Raises:
        UserError: no key, no equals sign, or a value that is not YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"{option} {text!r}, expected KEY=VALUE such as {example}")
    return key.strip(), parse_yaml(value, f"{option} {key}")


def compose(*layers: Mapping[str, Any]) -> TrainConfig:
    """Joins layers of dotted or nested keys into a checked configuration; a later layer overrides the ones before.

    Raises:
        UserError: an unknown key, or a value that cannot be used.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            _assign(merged, str(key).split("."), value)
    _refuse_fields_without_section(merged)
    return TrainConfig.from_mapping(merged)


def _refuse_fields_without_section(values: Mapping[str, Any]) -> None:
    """Raises ``UserError`` for a field of a section, such as ``dropout`` of the model, that is given without it."""
    known = {field.name for field in dataclasses.fields(TrainConfig)}
    unknown = [key for key in values if key not in known]
    if not unknown:
        return
    config = TrainConfig.from_mapping({key: value for key, value in values.items() if key in known})
    for key in unknown:
        for section in ("model", "optimizer", "dataset", "tokenizer"):
            part = getattr(config, section)
            fields = () if part is None else dataclasses.fields(part)
            if key in {field.name for field in fields}:
                raise UserError(f"unknown key {key!r}, expected {section}.{key}, as in --set {section}.{key}=VALUE")


def to_yaml(config: TrainConfig) -> str:
    """The text of ``config.yaml``."""
    return yaml.safe_dump(to_mapping(config), sort_keys=False)


def _assign(target: dict[str, Any], path: list[str], value: Any, parents: tuple[str, ...] = ()) -> None:
    """Sets one nested key. A section given by name becomes a mapping; a new name drops the fields of the old one.

    Args:
        target: the mapping to change.
        path: the keys below ``target``.
        value: the value.
        parents: the keys above ``target``.
    """
    head, *rest = path
    is_section = (*parents, head) in _SECTIONS
    if not rest:
        if is_section and isinstance(value, str):
            value = {"name": value}
        if is_section and isinstance(value, Mapping):
            for key, item in _name_first(value):
                _assign(target, [head, key], item, parents)
        else:
            target[head] = value
        return
    if target.get(head) is None:
        target[head] = {}
    section = target[head]
    if not isinstance(section, dict):
        key = ".".join((*parents, *path))
        raise UserError(f"unknown key {key!r}: {head!r} is a single value, not a section")
    field = rest[0]
    chooses_fields = is_section and len(rest) == 1 and field in _KEPT
    if chooses_fields and section.get(field, value) != value:
        section = {name: section[name] for name in _KEPT[field] if name in section}
        target[head] = section
    _assign(section, rest, value, (*parents, head))


def _name_first(section: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """A section's items, ``name`` and ``preset`` first: each drops the fields that were set before it."""
    order = ("name", "preset")
    items = [(str(key), value) for key, value in section.items()]
    return sorted(items, key=lambda item: order.index(item[0]) if item[0] in order else len(order))
