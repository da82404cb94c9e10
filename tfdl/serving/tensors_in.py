"""The inputs of a function, from the JSON of TensorFlow Serving's REST API."""

import base64
import binascii
from itertools import chain
from typing import Any

import numpy as np

from tfdl.serving.errors import BAD_REQUEST, RequestError
from tfdl.serving.json_body import Body, check_keys, json_type, shown
from tfdl.serving.numbers_in import numbers_of
from tfdl.serving.signature import STRING, Arrays, Signature, TensorInfo

_B64 = "b64"
_KEYS = {"signature_name", "instances", "inputs"}
_MOST_AXES = 16


def inputs_of(body: Body, signature: Signature) -> tuple[Arrays, bool]:
    """The inputs of a request of the method ``predict``.

    Args:
        body: of the request.
        signature: the function that it asks for.

    Returns:
        Arrays by name, and whether the request is in row form (``instances``).

    Raises:
        RequestError: the inputs are not those that the function takes.
    """
    check_keys(body, _KEYS)
    is_row = "instances" in body
    if is_row and "inputs" in body:
        raise RequestError(
            BAD_REQUEST, 'the body has "instances" (rows) and "inputs" (columns), expected one of them, not both'
        )
    if not is_row and "inputs" not in body:
        raise RequestError(BAD_REQUEST, 'expected one of the keys "instances" (rows) and "inputs" (columns)')
    columns = _columns_of_rows(body["instances"], signature) if is_row else _columns(body["inputs"], signature)
    arrays = {}
    for name, info in signature.inputs.items():
        arrays[name] = to_array(columns[name], info, f"input {name!r}", is_row=is_row)
    return arrays, is_row


def to_array(value: Any, info: TensorInfo, what: str, *, is_row: bool) -> np.ndarray:
    """A tensor's nested lists as an array.

    Args:
        value: that was read from JSON.
        info: the tensor.
        what: it is, for messages.
        is_row: whether the user wrote row after row, and not the list of all rows.

    Raises:
        RequestError: another shape, type or range than the tensor's.
    """
    leaves, shape = _leaves(value, info, what, is_row)
    if info.dtype == STRING:
        array = np.empty(len(leaves), object)
        array[:] = [_bytes(leaf, what) for leaf in leaves]
    else:
        array = numbers_of(leaves, info, what)
    return array.reshape(shape)


def is_b64(value: Any) -> bool:
    """Whether a value is ``{"b64": "..."}``, bytes in Base64."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(_B64), str)


def decoded_b64(value: dict[str, str], what: str) -> bytes:
    """The bytes of ``{"b64": "..."}``.

    Args:
        value: as JSON has it.
        what: it is, for messages.

    Raises:
        RequestError: it is not Base64.
    """
    text = value[_B64].rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(BAD_REQUEST, f"{what} has a value of b64 that is not Base64") from error


def _columns_of_rows(instances: Any, signature: Signature) -> dict[str, list[Any]]:
    if not isinstance(instances, list) or not instances:
        raise RequestError(
            BAD_REQUEST, f'"instances" is {_found(instances)}, expected an array of at least one row, {signature.takes}'
        )
    without_rows = [name for name, info in signature.inputs.items() if info.shape == ()]
    if without_rows:
        names = ", ".join(without_rows)
        raise RequestError(
            BAD_REQUEST, f'signature {signature.name!r} takes one value of {names} for all rows; use "inputs" (columns)'
        )
    are_objects = [isinstance(instance, dict) and not is_b64(instance) for instance in instances]
    if not any(are_objects):
        return {_only_input(signature, "instances"): instances}
    if not all(are_objects):
        raise RequestError(BAD_REQUEST, '"instances" has objects and plain values, expected one of them')
    for number, instance in enumerate(instances):
        _check_names(instance, signature, f"row {number}")
    return {name: [instance[name] for instance in instances] for name in signature.inputs}


def _columns(inputs: Any, signature: Signature) -> dict[str, Any]:
    if not isinstance(inputs, dict) or is_b64(inputs):
        return {_only_input(signature, "inputs"): inputs}
    _check_names(inputs, signature, '"inputs"')
    return inputs


def _only_input(signature: Signature, key: str) -> str:
    if len(signature.inputs) != 1:
        raise RequestError(
            BAD_REQUEST,
            f'"{key}" has no names, but signature {signature.name!r} takes {len(signature.inputs)} inputs;'
            f" expected objects with {signature.takes}",
        )
    return next(iter(signature.inputs))


def _check_names(values: dict[str, Any], signature: Signature, where: str) -> None:
    if values.keys() == signature.inputs.keys():
        return
    missing = ", ".join(sorted(set(signature.inputs) - set(values))) or "none"
    unexpected = ", ".join(shown(name) for name in sorted(set(values) - set(signature.inputs))[:3]) or "none"
    raise RequestError(
        BAD_REQUEST,
        f"{where}: missing inputs: {missing}; unexpected: {unexpected}; signature {signature.name!r} takes"
        f" {signature.takes}",
    )


def _leaves(value: Any, info: TensorInfo, what: str, is_row: bool) -> tuple[list[Any], tuple[int, ...]]:
    """The values in all nested lists, and the shape of the lists. Every loop over the values is one of Python's own."""
    rank = _rank(value) if info.shape is None else len(info.shape)
    level = [value]
    shape: list[int] = []
    for axis in range(rank):
        if set(map(type, level)) - {list}:
            found = _found(next(v for v in level if not isinstance(v, list)))
            raise _wrong_shape(what, info, found, axis, is_row)
        sizes = set(map(len, level))
        if len(sizes) > 1:
            raise _wrong_shape(what, info, "lists of unequal lengths", axis, is_row)
        size = sizes.pop() if sizes else 0
        expected = info.shape[axis] if info.shape else None
        if expected not in (None, size) or (axis > 0 and not level):
            raise _wrong_shape(what, info, f"a list of {size} value{'' if size == 1 else 's'}", axis, is_row)
        shape.append(size)
        level = list(chain.from_iterable(level))
    if list in set(map(type, level)):
        raise _wrong_shape(what, info, "a list", rank, is_row)
    return level, tuple(shape)


def _rank(value: Any) -> int:
    rank = 0
    while isinstance(value, list) and rank < _MOST_AXES:
        rank += 1
        value = value[0] if value else None
    return rank


def _wrong_shape(what: str, info: TensorInfo, found: str, axis: int, is_row: bool) -> RequestError:
    """The error for a value that is no list, or another one than expected.

    In row form the user has not written the axis of the rows, so it is not counted.
    """
    if not is_row:
        place = f" at axis {axis}" if axis else ""
        return RequestError(BAD_REQUEST, f"{what} has {found}{place}, expected {info.in_words}")
    if axis == 0:
        rows = info.shape[0] if info.shape else None
        return RequestError(BAD_REQUEST, f"{what} has {found} as its rows, expected {rows} rows")
    place = f" at axis {axis - 1}" if axis > 1 else ""
    return RequestError(BAD_REQUEST, f"{what} has a row with {found}{place}, expected {info.row.in_words} in each row")


def _found(value: Any) -> str:
    """What stands in place of something else."""
    if isinstance(value, list):
        return "an empty array" if not value else "an array"
    if value is None:
        return "null"
    return f"{json_type(value)} {shown(value)}"


def _bytes(leaf: Any, what: str) -> bytes:
    if isinstance(leaf, str):
        try:
            return leaf.encode()
        except UnicodeEncodeError as error:
            raise RequestError(BAD_REQUEST, f"{what} has half of a surrogate pair, expected Unicode") from error
    if is_b64(leaf):
        return decoded_b64(leaf, what)
    raise RequestError(BAD_REQUEST, f'{what} has the value {shown(leaf)}, expected a string or {{"b64": "..."}}')
