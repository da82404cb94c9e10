"""A configuration by name."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfdl.config.fields import convert, from_mapping
from tfdl.errors import UserError, nearest


def choose(kind: str, known: Mapping[str, type], value: Any) -> Any:
    """A config from a config, a name, or a mapping with ``name`` and fields."""
    if dataclasses.is_dataclass(value) and type(value) in known.values():
        return value
    fields = {"name": value} if isinstance(value, str) else value
    if not isinstance(fields, Mapping) or "name" not in fields:
        raise UserError(f"{kind}={value!r}, expected a name or a mapping with `name`; names: {', '.join(known)}")
    name = convert(fields["name"], str, f"{kind}.name")
    if name not in known:
        raise UserError(f"unknown {kind} {name!r}, expected one of {', '.join(known)}.{nearest(name, known)}")
    rest = {key: item for key, item in fields.items() if key != "name"}
    return from_mapping(known[name], rest, f"{kind}.")
