"""Requests for a batcher, and the parts in which they are computed."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from tfdl.serving.errors import BAD_REQUEST, RequestError
from tfdl.serving.signature import Arrays, Signature

Key = tuple[object, ...]


@dataclass(eq=False)
class Request:
    """One request."""

    answer: "asyncio.Future[Arrays]"
    num_left: int
    """Parts that are not settled: neither computed nor skipped."""
    outputs: dict[int, Arrays] = field(default_factory=dict)
    """Of each part by its number."""
    error: Exception | None = None
    """Of the first part that failed."""


@dataclass(eq=False)
class Part:
    """At most as many rows of one request as a call takes."""

    request: Request
    number: int
    signature: Signature
    arrays: Arrays
    num_rows: int
    arrival: float


Answered = tuple[Request, Arrays | Exception]
"""A request with its outputs, or with the error of its model."""


def key_of(signature: Signature, arrays: Arrays) -> Key:
    """Equal for requests that one call can compute.

    Args:
        signature: the function.
        arrays: its inputs.
    """
    parts: list[object] = [signature.name]
    for name, info in signature.inputs.items():
        array = arrays[name]
        parts.append(array.shape[1:] if info.has_rows else array.tolist())
    return tuple(parts)


def joined_inputs(parts: Sequence[Part]) -> Arrays:
    """The inputs of one call for several parts.

    Args:
        parts: of requests with equal keys.
    """
    first = parts[0]
    if len(parts) == 1:
        return first.arrays
    inputs = first.signature.inputs
    return {
        name: np.concatenate([part.arrays[name] for part in parts]) if info.has_rows else first.arrays[name]
        for name, info in inputs.items()
    }


def whole_outputs(request: Request) -> Arrays | Exception:
    """The outputs of a request, from those of its parts; or the error of one of them.

    Args:
        request: all parts of which are settled.
    """
    if request.error is not None:
        return request.error
    outputs = [request.outputs[number] for number in sorted(request.outputs)]
    if len(outputs) == 1:
        return outputs[0]
    try:
        return {name: np.concatenate([part[name] for part in outputs]) for name in outputs[0]}
    except ValueError:  # the outputs of the parts have other shapes
        return RequestError(BAD_REQUEST, "the rows have answers of unequal shapes; send them in several requests")


def deliver(answers: Sequence[Answered]) -> None:
    """Gives answers to the event loop, all at once.

    Args:
        answers: of requests that wait in one loop.
    """
    if not answers:
        return
    with suppress(RuntimeError):  # the loop has ended
        answers[0][0].answer.get_loop().call_soon_threadsafe(_set_answers, answers)


def _set_answers(answers: Sequence[Answered]) -> None:
    for request, result in answers:
        if request.answer.done():  # cancelled, or another part has failed
            continue
        if isinstance(result, Exception):
            request.answer.set_exception(result)
        else:
            request.answer.set_result(result)
