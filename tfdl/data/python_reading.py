"""Python code that reads samples inside TensorFlow's graphs, and its errors.

TensorFlow replaces an exception of such code by an error of its own, with the message and the traceback as text. Here
the exception is kept, and raised again as itself where batches are taken.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.errors import UserError

# The last exceptions. Several threads read ahead, so more than one may fail.
_raised: deque[Exception] = deque(maxlen=64)
# A UserError as TensorFlow quotes it: from a source of the user that calls tf.numpy_function itself.
_QUOTED_USER_ERROR = re.compile(r"UserError: (.*?)\n\s*Traceback \(most recent call last\)", re.DOTALL)


def python_columns(
    function: Callable[[np.ndarray], list[np.ndarray]],
    indices: Any,
    signature: Mapping[str, tf.TensorSpec],
    *,
    stateful: bool = True,
) -> dict[str, Any]:
    """Features that a Python function reads, inside a graph.

    Args:
        function: from sample numbers to one array for each feature, in the order of the signature.
        indices: sample numbers, int64 ``(b,)``.
        signature: a ``tf.TensorSpec`` for each feature of one sample.
        stateful: whether the same numbers may give other values.

    Returns:
        Feature name -> tensor ``(b, ...)``.
    """

    dtypes = [spec.dtype for spec in signature.values()]
    columns = tf.numpy_function(_keeping_its_error(function), [indices], dtypes, stateful=stateful)
    return {
        name: tf.ensure_shape(column, [None, *spec.shape])
        for (name, spec), column in zip(signature.items(), columns, strict=True)
    }


def python_records(read: Callable[[np.ndarray], np.ndarray], indices: Any) -> Any:
    """Serialized records that a Python function reads, inside a graph.

    Args:
        read: from sample numbers to an object array of their records.
        indices: sample numbers, int64 ``(b,)``.

    Returns:
        Texts ``(b,)``.
    """
    return tf.ensure_shape(tf.numpy_function(_keeping_its_error(read), [indices], tf.string), [None])


def _keeping_its_error(function: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
    def read(numbers: np.ndarray) -> Any:
        try:
            return function(numbers)
        except Exception as error:
            _raised.append(error)
            raise

    return read


@contextmanager
def own_errors() -> Iterator[None]:
    """A block that takes batches: an exception of the Python code that reads samples leaves it as itself."""
    try:
        yield
    except tf.errors.OpError as error:
        cause = _cause(str(error.message))
        if cause is None:
            raise
        _raised.clear()  # their tracebacks hold the data that was read
        raise cause from error


def taken(batches: Iterable[Any]) -> Iterator[Any]:
    """The batches, with ``own_errors`` around the taking of each.

    Args:
        batches: such as a ``tf.data.Dataset``.
    """
    with own_errors():
        yield from batches


def _cause(message: str) -> Exception | None:
    """The exception that TensorFlow quotes in a message; none if it quotes none that is known."""
    for error in reversed(_raised):
        if f"{type(error).__name__}: {error}" in message:
            return error
    quoted = _QUOTED_USER_ERROR.search(message)
    return UserError(quoted[1]) if quoted else None
