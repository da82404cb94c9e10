"""Configurations as plain values, for YAML."""

import dataclasses
from typing import Any


def to_mapping(config: Any) -> dict[str, Any]:
    """A configuration as numbers, texts, lists and mappings. A part's mapping begins with its ``name``."""
    values = {field.name: plain(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if "name" in values or not hasattr(config, "name"):
        return values
    return {"name": config.name, **values}


def plain(value: Any) -> Any:
    """A field's value for YAML. A part without fields is written as its name."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    mapping = to_mapping(value)
    return mapping["name"] if mapping.keys() == {"name"} else mapping
