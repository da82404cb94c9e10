"""The answers of a function, as the JSON of TensorFlow Serving's REST API."""

import base64
import json
from typing import Any

import numpy as np

from tfdl.serving.errors import BAD_REQUEST, RequestError
from tfdl.serving.signature import Arrays

# Such outputs are bytes rather than text, as in TensorFlow Serving.
_BYTES_SUFFIX = "_bytes"


def json_of_outputs(outputs: Arrays, is_row: bool) -> bytes:
    """The body of an answer. A single output has no name. NaN and infinite numbers are written as such.

    Args:
        outputs: of the function.
        is_row: whether the answer has an object for each row (``predictions``), or a list for each output.

    Raises:
        RequestError: the outputs have no rows, for an answer in row form.
    """
    values = {name: _plain(name, outputs[name]) for name in sorted(outputs)}
    if not is_row:
        return _encoded({"outputs": values if len(values) != 1 else next(iter(values.values()))})
    sizes = {array.shape[0] if array.ndim else None for array in outputs.values()}
    if len(sizes) != 1 or None in sizes:
        raise RequestError(
            BAD_REQUEST, 'the outputs have unequal numbers of rows; ask with "inputs" (columns) in place of "instances"'
        )
    if len(values) == 1:
        return _encoded({"predictions": next(iter(values.values()))})
    names = list(values)
    return _encoded({"predictions": [dict(zip(names, row, strict=True)) for row in zip(*values.values(), strict=True)]})


def _plain(name: str, array: np.ndarray) -> Any:
    """Nested lists of plain values."""
    if array.dtype == object:
        return _texts(array.tolist(), is_bytes=name.endswith(_BYTES_SUFFIX))
    if array.dtype.kind not in "biuf":  # bfloat16 and other small floats
        return array.astype(np.float32).tolist()
    return array.tolist()


def _texts(value: Any, is_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_texts(item, is_bytes) for item in value]
    if is_bytes:
        return {"b64": base64.b64encode(value).decode()}
    return value.decode(errors="replace")


def _encoded(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
