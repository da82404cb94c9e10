"""Turns plain mappings into dataclasses, and says in one line what does not fit."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from tfdl.errors import UserError, nearest

T = TypeVar("T")


def require(holds: bool, key: str, received: Any, expected: str) -> None:
    """Raises ``UserError`` naming the key, what was received and what was expected, unless ``holds``."""
    if not holds:
        raise UserError(f"{key}={_shown(received)}, expected {expected}")


def check_types(config: Any, prefix: str) -> None:
    """Converts every field to its annotated type in place, so that Python callers are told what YAML's are."""
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        object.__setattr__(
            config, field.name, convert(getattr(config, field.name), hints[field.name], prefix + field.name)
        )


def require_at_least(config: Any, prefix: str, minimum: float, *names: str) -> None:
    """Each named field that is set must be at least ``minimum``."""
    for name in names:
        value = getattr(config, name)
        fits = value is None or minimum <= value < math.inf
        require(fits, f"{prefix}{name}", value, f"a number of at least {minimum}")


def require_fraction(config: Any, prefix: str, *names: str) -> None:
    """Each named field must lie in [0, 1)."""
    for name in names:
        value = getattr(config, name)
        require(0 <= value < 1, f"{prefix}{name}", value, "a number from 0 to below 1")


def from_mapping(cls: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """Builds the dataclass ``cls`` from ``values``; unknown keys are answered with the nearest known one."""
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.init]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            expected = f"one of {', '.join(names)}.{nearest(str(key), names)}" if names else "none: it has no fields"
            raise UserError(f"unknown key {prefix + str(key)!r}, expected {expected}")
    return cls(**{key: convert(value, hints[key], prefix + key) for key, value in values.items()})


def convert(value: Any, hint: Any, key: str) -> Any:
    """``value`` as the annotated type, or a ``UserError`` that names the key and the type."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_optional(value, hint, key)
    if origin is tuple:
        return _convert_tuple(value, typing.get_args(hint), key)
    if origin is typing.Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise UserError(
                f"{key}={_shown(value)}, expected one of {', '.join(map(str, choices))}."
                f"{nearest(str(value), map(str, choices))}"
            )
        return value
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        return _number(value, key)  # YAML reads 1e-3 as text
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if dataclasses.is_dataclass(hint):
        return value
    if hint in (int, float, bool, str) and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise UserError(f"{key}={_shown(value)}, expected {_NAMES[hint]}")
    return value


_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def _convert_optional(value: Any, hint: Any, key: str) -> Any:
    if value is None:
        return None
    (inner,) = (arm for arm in typing.get_args(hint) if arm is not type(None))
    return convert(value, inner, key)


def _convert_tuple(value: Any, arms: tuple[Any, ...], key: str) -> Any:
    if dataclasses.is_dataclass(arms[0]):
        return value  # the configuration that has such a field converts it
    if arms == (str, ...) and isinstance(value, str):  # names with commas between, as a command line has them
        value = [] if value == "none" else value.replace(" ", "").split(",")
    is_list = isinstance(value, list | tuple)
    if len(arms) == 2 and arms[1] is Ellipsis:
        require(is_list, key, value, f"a list of items, each {_NAMES[arms[0]]}, such as [32, 64]")
        return tuple(convert(item, arms[0], key) for item in value)
    require(is_list and len(value) == len(arms), key, value, f"a list of {len(arms)} items")
    return tuple(convert(item, arm, key) for item, arm in zip(value, arms, strict=True))


def _number(value: float | str, key: str) -> float:
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise UserError(f"{key}={_shown(value)}, expected a number") from None


def _shown(value: Any) -> str:
    return repr(list(value)) if isinstance(value, tuple) else repr(value)
