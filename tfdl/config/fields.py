"""Turns plain mappings into dataclasses. A value that does not fit is an error of one line."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, TypeVar

from tfdl.errors import UserError, first_line, nearest

T = TypeVar("T")
# A whole number of YAML may have any size; those of NumPy, TensorFlow and files have 64 bits.
_LARGEST = 2**63 - 1
_LONGEST_SHOWN = 300


def require(holds: bool, key: str, received: Any, expected: str) -> None:
    """Raises ``UserError`` unless ``holds``.

    Args:
        holds: whether the value can be used.
        key: the configuration key.
        received: the value.
        expected: what the value must be, such as ``"a positive number"``.
    """
    if not holds:
        raise UserError(f"{key}={_shown(received)}, expected {expected}")


def check_types(config: Any, prefix: str) -> None:
    """Converts every field to its annotated type in place. Values from Python get the checks that values from YAML get.

    Args:
        config: a frozen dataclass, within its ``__post_init__``.
        prefix: what stands before a field's name in messages, such as ``"model."``.

    Raises:
        UserError: a value of another type.
    """
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = convert(getattr(config, field.name), hints[field.name], prefix + field.name)
        object.__setattr__(config, field.name, value)


def require_at_least(config: Any, prefix: str, minimum: float, *names: str) -> None:
    """Raises ``UserError`` unless each named field is None or a finite number of at least ``minimum``.

    Args:
        config: the configuration.
        prefix: as for ``check_types``.
        minimum: the smallest allowed value.
        *names: the fields.
    """
    for name in names:
        value = getattr(config, name)
        fits = value is None or minimum <= value < math.inf
        require(fits, f"{prefix}{name}", value, f"a number of at least {minimum}")


def require_fraction(config: Any, prefix: str, *names: str) -> None:
    """Raises ``UserError`` unless each named field lies in [0, 1).

    Args:
        config: the configuration.
        prefix: as for ``check_types``.
        *names: the fields.
    """
    for name in names:
        value = getattr(config, name)
        require(0 <= value < 1, f"{prefix}{name}", value, "a number from 0 to below 1")


def from_mapping(cls: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """Builds the dataclass ``cls`` from plain values.

    Args:
        cls: the dataclass.
        values: field name -> value.
        prefix: as for ``check_types``.

    Raises:
        UserError: an unknown key (the message suggests the nearest known one), a value of another type, or a value that
            the dataclass refuses, also with a plain ``ValueError``.
    """
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.init]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            expected = f"one of {', '.join(names)}.{nearest(str(key), names)}" if names else "none: it has no fields"
            raise UserError(f"unknown key {prefix + str(key)!r}, expected {expected}")
    fields = {key: convert(value, hints[key], prefix + key) for key, value in values.items()}
    try:
        return cls(**fields)
    except UserError:
        raise
    except ValueError as error:
        part = prefix.rstrip(".") or "the configuration"
        raise UserError(f"{part} cannot be used: {first_line(error)}") from error


def convert(value: Any, hint: Any, key: str) -> Any:
    """Returns ``value`` as the annotated type.

    Numbers, texts, booleans, ``Literal``, tuples and unions of these are checked. A value of any other type is returned
    as it is: the configuration that has such a field checks it.

    Args:
        value: from YAML, the command line or Python.
        hint: the annotation.
        key: the configuration key, for messages.

    Raises:
        UserError: a value of another type.
    """
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, typing.get_args(hint), key)
    if origin is tuple:
        return _convert_tuple(value, typing.get_args(hint), key)
    if origin is typing.Literal:
        return _convert_literal(value, typing.get_args(hint), key)
    is_boolean = isinstance(value, bool)  # bool is a subclass of int
    if hint is float and isinstance(value, Real | str) and not is_boolean:
        return _number(value, key)  # YAML reads 1e-3 as text
    if hint is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if hint is int and isinstance(value, Integral) and not is_boolean:
        require(abs(int(value)) <= _LARGEST, key, value, "a whole number of at most 64 bits")
        return int(value)  # NumPy's integers, too
    if hint in _NAMES:
        has_type = isinstance(value, hint) and not (hint is int and is_boolean)
        require(has_type, key, value, _NAMES[hint])
    return value


_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
# Words that YAML 1.1 reads as booleans.
_BOOLEAN_WORDS = {True: ("on", "yes"), False: ("off", "no")}


def _convert_union(value: Any, arms: tuple[Any, ...], key: str) -> Any:
    """The value as the first type that takes it; one that has a type of the union already stays as it is."""
    if type(value) in arms:
        return convert(value, type(value), key)
    value_arms = [arm for arm in arms if arm is not types.NoneType]
    if len(value_arms) == 1:
        return convert(value, value_arms[0], key)
    for arm in value_arms:
        try:
            return convert(value, arm, key)
        except UserError:
            continue
    raise UserError(f"{key}={_shown(value)}, expected {' or '.join(map(_description, value_arms))}")


def _convert_literal(value: Any, choices: tuple[Any, ...], key: str) -> Any:
    if value in choices:
        return value
    if isinstance(value, bool):
        for word in _BOOLEAN_WORDS[value]:
            if word in choices:
                return word
    suggestion = nearest(str(value), map(str, choices))
    raise UserError(f"{key}={_shown(value)}, expected one of {', '.join(map(str, choices))}.{suggestion}")


def _convert_tuple(value: Any, arms: tuple[Any, ...], key: str) -> Any:
    if any(dataclasses.is_dataclass(arm) for arm in arms):
        return value  # the configuration that has such a field converts it
    if arms == (str, ...) and isinstance(value, str):
        # Names with commas between them, as a command line has them.
        value = [] if value == "none" else [name.strip() for name in value.split(",")]
    is_list = isinstance(value, list | tuple)
    if len(arms) == 2 and arms[1] is Ellipsis:
        item_type = arms[0]
        example = ", such as [32, 64]" if item_type in _NAMES else ""
        require(is_list, key, value, f"a list of items, each {_description(item_type)}{example}")
        return tuple(convert(item, item_type, key) for item in value)
    require(is_list and len(value) == len(arms), key, value, f"a list of {len(arms)} items")
    return tuple(convert(item, arm, key) for item, arm in zip(value, arms, strict=True))


def _description(hint: Any) -> str:
    """A type in words, for messages."""
    if hint in _NAMES:
        return _NAMES[hint]
    origin = typing.get_origin(hint)
    arms = typing.get_args(hint)
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, arms))}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join("none" if arm is types.NoneType else _description(arm) for arm in arms)
    if origin is tuple:
        return "a list"
    return getattr(hint, "__name__", str(hint))


def _number(value: Any, key: str) -> float:
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise UserError(f"{key}={_shown(value)}, expected a number") from None


def _shown(value: Any) -> str:
    if isinstance(value, int) and abs(value) > _LARGEST:
        return f"a whole number of {value.bit_length():,} bits"  # Python refuses to write some of these
    text = repr(list(value)) if isinstance(value, tuple) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
