"""Samples as Python code passes them, and as features by name."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfdl.errors import UserError, nearest

SAMPLE_WEIGHT = "sample_weight"
"""The name of the feature that the third item of a sample becomes."""
SEPARATOR = "/"
"""Separates a role from the names of its parts, as in ``x/image``."""


def named_features(sample: Any, roles: Sequence[str], where: str) -> dict[str, Any]:
    """A sample, or arrays of samples, as features by name.

    Args:
        sample: one of three forms: a mapping of role to value; a tuple in the order of the roles, such as ``(x, y)``,
            perhaps with a sample weight as its last item; a single value if there is only one role. A value may be a
            mapping or a tuple of arrays, for models of several inputs, or a list where that is clear (``[x1, x2]``).
        roles: what a sample consists of.
        where: what is read, for messages, such as ``data['train']``.

    Returns:
        Feature name -> array. The parts of a nested value are named ``role/key`` or ``role/0``.

    Raises:
        UserError: a wrong number of items, a missing role, an unknown key, or a list that may be one array or several.
    """
    values = _with_several_arrays(_by_role(sample, tuple(roles), where), where)
    features: dict[str, Any] = {}
    for role, value in values.items():
        features.update(_flattened(role, value))
    return features


def _by_role(sample: Any, roles: tuple[str, ...], where: str) -> dict[str, Any]:
    """Role -> value, and the sample weight if there is one."""
    if isinstance(sample, Mapping) and set(roles) <= set(sample):
        _check_keys(sample, roles, where)
        return {role: sample[role] for role in (*roles, SAMPLE_WEIGHT) if role in sample}
    if isinstance(sample, tuple):
        if len(sample) == len(roles) + 1:
            return dict(zip((*roles, SAMPLE_WEIGHT), sample, strict=True))
        if len(sample) == len(roles):
            return dict(zip(roles, sample, strict=True))
        expected = f"({', '.join(roles)})" if len(roles) > 1 else f"one value, the {roles[0]}"
        raise UserError(f"{where} has {len(sample)} items in a sample, expected {expected}")
    if isinstance(sample, Mapping):
        received = f"a mapping of {', '.join(map(str, sample))}"
    elif len(roles) == 1:
        return {roles[0]: sample}
    elif isinstance(sample, Iterator) or callable(sample):
        raise UserError(
            f"{where} is a {type(sample).__name__}, expected data that can be read more than once: arrays"
            f" ({', '.join(roles)}), a keras.utils.PyDataset, or tf.data.Dataset.from_generator(...)"
        )
    else:
        received = type(sample).__name__
    raise UserError(
        f"{where} is {received}, expected a tuple ({', '.join(roles)}), or a mapping of {' and '.join(roles)}"
    )


def _check_keys(sample: Mapping[str, Any], roles: tuple[str, ...], where: str) -> None:
    """Raises an error for a key that nothing would read, such as a misspelled ``sample_weight``."""
    known = (*roles, SAMPLE_WEIGHT)
    for key in sample:
        if key not in known:
            raise UserError(
                f"{where} has the key {key!r}, which is not read; expected {', '.join(roles)}, and {SAMPLE_WEIGHT} if"
                f" samples have weights.{nearest(str(key), known)}"
            )


def _with_several_arrays(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values, with tuples for lists of arrays that Keras takes as several inputs or outputs, such as ``[x1, x2]``.

    A list is several arrays if each of them has as many rows as the other roles. It is one array if it is itself as
    long as they are.

    Args:
        values: role -> value.
        where: what is read, for messages.

    Raises:
        UserError: a list may be both.
    """
    lists = {role: value for role, value in values.items() if _is_list_of_arrays(value)}
    result = dict(values)
    if not lists or len(values) == 1:
        return result
    # Where all roles are such lists, they are compared with each other.
    others = {_num_rows(value) for role, value in values.items() if role not in lists}
    expected_in_each = others or {len(array) for arrays in lists.values() for array in arrays}
    expected_length = others or {len(arrays) for arrays in lists.values()}
    for role, arrays in lists.items():
        is_several = {len(array) for array in arrays} == expected_in_each and len(expected_in_each) == 1
        has_one_shape = len({array.shape for array in arrays}) == 1
        is_one = has_one_shape and {len(arrays)} == expected_length
        if is_several and is_one:
            raise UserError(
                f"{role} of {where} is a list of {len(arrays)} arrays of {len(arrays[0])} rows, which may be several"
                " arrays or one; expected a tuple of several arrays, or one array (np.stack)"
            )
        if is_several:
            result[role] = tuple(arrays)
    return result


def _is_list_of_arrays(value: Any) -> bool:
    is_list = isinstance(value, list) and len(value) > 0
    return is_list and all(isinstance(item, np.ndarray) and item.ndim > 0 for item in value)


def _num_rows(value: Any) -> int | None:
    """The number of rows of an array, or of the first array of nested values; none if it is unknown."""
    while isinstance(value, Mapping | tuple) and value:
        value = next(iter(value.values() if isinstance(value, Mapping) else value))
    try:
        return len(value)
    except TypeError:
        return None


def _flattened(name: str, value: Any) -> dict[str, Any]:
    """One name for each array of nested mappings and tuples. A list is one array, as in NumPy."""
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


def part_names(features: Iterable[str], role: str) -> list[str]:
    """The features that belong to a role: itself, or its parts.

    Args:
        features: the names of all features.
        role: the role.
    """
    return [name for name in features if name.split(SEPARATOR)[0] == role]


def structure_of(features: Sequence[str], role: str) -> Any:
    """How the arrays of a role were nested before ``named_features``.

    Args:
        features: the names of all features.
        role: the role.

    Returns:
        The feature's name if the role is one array, such as ``"x"``. Otherwise a mapping or a list of such, such as
        ``{"image": "x/image"}`` or ``["x/0", "x/1"]``.
    """
    if role in features:
        return role
    prefix = f"{role}{SEPARATOR}"
    names_within = [name.removeprefix(prefix) for name in features if name.startswith(prefix)]
    first_parts = [name.split(SEPARATOR)[0] for name in names_within]
    keys = list(dict.fromkeys(first_parts))  # each once, in their order
    parts = {key: structure_of(features, f"{prefix}{key}") for key in keys}
    if keys == [str(number) for number in range(len(keys))]:
        return list(parts.values())
    return parts


def pick(structure: Any, features: Mapping[str, Any]) -> Any:
    """The features of a role, nested again.

    Args:
        structure: as ``structure_of`` returns it.
        features: feature name -> tensor.

    Returns:
        A tensor, or a mapping or a list of tensors.
    """
    if isinstance(structure, str):
        return features[structure]
    if isinstance(structure, list):
        return [pick(part, features) for part in structure]
    return {key: pick(part, features) for key, part in structure.items()}
