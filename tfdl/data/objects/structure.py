"""Samples as Python code gives them, and as named features."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfdl.errors import UserError

SAMPLE_WEIGHT = "sample_weight"
"""The feature that a third item of a sample becomes."""
SEPARATOR = "/"
"""Between the role and the names within it, such as ``x/image``."""


def named_features(sample: Any, roles: Sequence[str], where: str) -> dict[str, Any]:
    """A sample, or arrays of samples, as features by name.

    Args:
        sample: a mapping of role to value; or ``(x, y)`` or ``(x, y, sample_weight)``, in the order of the roles; or
            one value where there is one role. A value may be a mapping or a sequence of arrays, for models of several
            inputs.
        roles: what a sample consists of.
        where: what is read, for messages: ``"the split 'train'"``.

    Returns:
        Feature name -> array. The parts of a nested value are named ``role/key`` or ``role/0``.

    Raises:
        UserError: another number of items, or a missing role.
    """
    values = _by_role(sample, tuple(roles), where)
    features: dict[str, Any] = {}
    for role, value in values.items():
        features.update(_flattened(role, value))
    return features


def _by_role(sample: Any, roles: tuple[str, ...], where: str) -> dict[str, Any]:
    if isinstance(sample, Mapping) and set(roles) <= set(sample):
        return {role: sample[role] for role in (*roles, SAMPLE_WEIGHT) if role in sample}
    if isinstance(sample, tuple):
        if len(sample) == len(roles) + 1:
            return dict(zip((*roles, SAMPLE_WEIGHT), sample, strict=True))
        if len(sample) == len(roles):
            return dict(zip(roles, sample, strict=True))
        expected = f"({', '.join(roles)})" if len(roles) > 1 else f"one value, the {roles[0]}"
        raise UserError(f"{where} has {len(sample)} items in a sample, expected {expected}")
    if len(roles) == 1 and not isinstance(sample, Mapping):
        return {roles[0]: sample}
    received = f"a mapping of {', '.join(map(str, sample))}" if isinstance(sample, Mapping) else type(sample).__name__
    raise UserError(
        f"{where} is {received}, expected a tuple ({', '.join(roles)}), or a mapping of {' and '.join(roles)}"
    )


def _flattened(name: str, value: Any) -> dict[str, Any]:
    """Nested mappings and tuples to one name for each array. A list is an array as NumPy sees it."""
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, tuple):
        items = [(str(number), item) for number, item in enumerate(value)]
    else:
        return {name: value}
    features: dict[str, Any] = {}
    for key, item in items:
        features.update(_flattened(f"{name}{SEPARATOR}{key}", item))
    return features


def structure_of(features: Sequence[str], role: str) -> Any:
    """How the features of a role were nested: the name itself, or a mapping or a list of such.

    Args:
        features: the names of all features.
        role: the role.

    Returns:
        ``"x"``; ``{"image": "x/image"}``; ``["x/0", "x/1"]``.
    """
    if role in features:
        return role
    prefix = f"{role}{SEPARATOR}"
    keys = list(dict.fromkeys(name[len(prefix) :].split(SEPARATOR)[0] for name in features if name.startswith(prefix)))
    parts = {key: structure_of(features, f"{prefix}{key}") for key in keys}
    if keys == [str(number) for number in range(len(keys))]:
        return list(parts.values())
    return parts


def pick(structure: Any, features: Mapping[str, Any]) -> Any:
    """The features of a role, nested as ``structure_of`` says."""
    if isinstance(structure, str):
        return features[structure]
    if isinstance(structure, list):
        return [pick(part, features) for part in structure]
    return {key: pick(part, features) for key, part in structure.items()}
