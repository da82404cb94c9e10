"""Answers to requests that cannot be served."""

import re

from tfdl.errors import first_line, in_one_line

BAD_REQUEST = 400
NOT_FOUND = 404
TOO_LARGE = 413
FAILED = 500
OVERLOADED = 503
TOO_LATE = 504

# TensorFlow's errors that a request's own values cause, by the names of their types. A graph that checks its inputs
# raises them: files that are no images, numbers out of range, shapes that do not fit each other.
_CAUSED_BY_INPUTS = frozenset(
    {"InvalidArgumentError", "OutOfRangeError", "FailedPreconditionError", "UnimplementedError", "DataLossError"}
)


# What an assertion of a graph found: its message and values, each within brackets.
_ASSERTION = re.compile(r"assertion failed: (\[.*\])")
# What TensorFlow says of a tf.Example, which has no name here.
_FEATURE = re.compile(r"Name: <unknown>, Feature: (.+) \(data type: (\w+)\) is required but could not be found\.")
_WRONG_TYPE = re.compile(
    r"Name: <unknown>, Key: (.+), Index: \d+\.\s+Data types don't match\. Data type: (\w+) but expected type: (\w+)"
)
_UNNAMED = "Name: <unknown>, "


class RequestError(Exception):
    """A request that is answered with an error.

    Args:
        status: the HTTP status.
        message: what was received, what was expected and how to fix it.
        retry_after: seconds after which the client may try again.
        closes: whether the connection is closed, since the body was not read.
        allowed: methods of HTTP that the address has, for one that it does not have.
    """

    def __init__(
        self, status: int, message: str, retry_after: int | None = None, *, closes: bool = False, allowed: str = ""
    ):
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after
        self.closes = closes
        self.allowed = allowed


def error_of_model(error: BaseException) -> RequestError:
    """The answer when a model raises an error.

    Args:
        error: of the call.
    """
    if isinstance(error, RequestError):
        return error
    name = type(error).__name__
    if name in _CAUSED_BY_INPUTS:
        reason = _in_words(first_line(error))
        return RequestError(BAD_REQUEST, in_one_line(f"the model cannot use these inputs: {reason}"))
    if name in ("ResourceExhaustedError", "MemoryError"):
        return RequestError(
            OVERLOADED, "the model has not enough memory for this request; send fewer or smaller rows", 1
        )
    return RequestError(FAILED, f"the model failed with {name}; the server's log has the error")


def _in_words(line: str) -> str:
    """TensorFlow's line for a user who knows no graph."""
    assertion = _ASSERTION.fullmatch(line)
    if assertion:
        return assertion[1][1:-1].replace("] [", " ")
    feature = _FEATURE.fullmatch(line)
    if feature:
        return f"an example has no feature {feature[1]!r}, expected one ({feature[2]})"
    wrong_type = _WRONG_TYPE.fullmatch(line)
    if wrong_type:
        return f"an example has the feature {wrong_type[1]!r} of the type {wrong_type[2]}, expected {wrong_type[3]}"
    return line.removeprefix(_UNNAMED)
