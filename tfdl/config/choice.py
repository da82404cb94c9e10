"""Chooses a part's configuration by name."""

from collections.abc import Mapping
from typing import Any

from tfdl.config.fields import convert, from_mapping
from tfdl.errors import UserError
from tfdl.registry import Registry


def choose(registry: Registry[type], value: Any, key: str = "") -> Any:
    """Returns a part's configuration.

    Args:
        registry: the parts of one kind.
        value: a configuration, a name, or a mapping of ``name`` and fields.
        key: the configuration key, for messages. Defaults to the registry's kind.

    Raises:
        UserError: an unknown name or field, or a value out of range.
    """
    key = key or registry.kind
    if type(value) in registry.declarations:
        return value
    fields = {"name": value} if isinstance(value, str) else value
    if not isinstance(fields, Mapping) or "name" not in fields:
        names = ", ".join(registry)
        raise UserError(f"{key}={value!r}, expected a name or a mapping with `name`; names: {names}")
    name = convert(fields["name"], str, f"{key}.name")
    config = registry.part(name).declaration
    fields_of_part = {field: item for field, item in fields.items() if field != "name"}
    return from_mapping(config, fields_of_part, f"{key}.")
