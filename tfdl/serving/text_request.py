"""What a client asks for with the method ``generate``."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfdl.inference.generation.served_generation import GENERATE
from tfdl.serving.errors import BAD_REQUEST, RequestError
from tfdl.serving.json_body import Body, check_keys, shown
from tfdl.serving.signature import Arrays, Signature
from tfdl.serving.text_writer import TextSettings

_KEYS = {"text", "max_new_tokens", "temperature", "top_k", "top_p", "seed", "stop", "stream"}
_MOST_STOPS = 16
_LARGEST_INT32 = 2**31 - 1


@dataclass(frozen=True)
class TextRequest:
    """A text that a client asks for."""

    text: str
    """To continue, or to translate."""
    settings: TextSettings
    is_streamed: bool


def text_request(body: Body, most_new_tokens: int) -> TextRequest:
    """Reads a request.

    Args:
        body: of the request.
        most_new_tokens: that a client may ask for.

    Raises:
        RequestError: a setting of another type, or out of range.
    """
    check_keys(body, _KEYS)
    text = _value(body, "text", str, None)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RequestError(BAD_REQUEST, "text has half of a surrogate pair, expected Unicode") from error
    max_new_tokens = _value(body, "max_new_tokens", int, min(TextSettings.max_new_tokens, most_new_tokens))
    if not 1 <= max_new_tokens <= most_new_tokens:
        raise RequestError(
            BAD_REQUEST, f"max_new_tokens is {shown(max_new_tokens)}, expected from 1 to {most_new_tokens}"
        )
    temperature = _number(body, "temperature", TextSettings.temperature)
    top_k = _value(body, "top_k", int, TextSettings.top_k)
    top_p = _number(body, "top_p", TextSettings.top_p)
    seed = _value(body, "seed", int, TextSettings.seed)
    _check(
        "temperature",
        temperature,
        0 <= temperature < math.inf,
        "0 (the most likely tokens) or a finite positive number",
    )
    _check("top_k", top_k, 0 <= top_k <= _LARGEST_INT32, f"from 0 (all tokens) to {_LARGEST_INT32}")
    # Models round it, and then it must still be above 0.
    _check("top_p", top_p, float(np.float32(top_p)) > 0 and top_p <= 1, "above 0 and at most 1 (all tokens)")
    _check("seed", seed, 0 <= seed < 2**64, "from 0 to below 2**64")
    settings = TextSettings(max_new_tokens, temperature, top_k, top_p, seed, _stops(body))
    return TextRequest(text, settings, _value(body, "stream", bool, False))


def inputs_of_text(request: TextRequest, signature: Signature) -> Arrays:
    """The inputs of an export's signature ``generate``.

    Args:
        request: what the client asks for.
        signature: the function.

    Raises:
        RequestError: the function cannot do it.
    """
    settings = request.settings
    if settings.stop:
        raise RequestError(BAD_REQUEST, "stop has no meaning for a SavedModel; leave it out, or serve the run itself")
    _check("seed", settings.seed, settings.seed <= _LARGEST_INT32, f"from 0 to {_LARGEST_INT32} for a SavedModel")
    values: Arrays = {
        "max_new_tokens": np.array(settings.max_new_tokens, np.int32),
        "temperature": np.array(settings.temperature, np.float32),
        "top_k": np.array(settings.top_k, np.int32),
        "top_p": np.array(settings.top_p, np.float32),
        "seed": np.array(settings.seed, np.int32),
        "text": np.array([request.text.encode()], object),
    }
    if set(values) != set(signature.inputs):
        raise RequestError(
            BAD_REQUEST, f"the model's signature 'generate' takes {signature.takes}; call it with :predict"
        )
    return values


def check_new_tokens(arrays: Arrays, signature: Signature, most_new_tokens: int) -> None:
    """Checks how many tokens a request of ``predict`` asks for.

    Args:
        arrays: the inputs of the signature.
        signature: the function.
        most_new_tokens: that a client may ask for.

    Raises:
        RequestError: it asks for more.
    """
    wanted = arrays.get("max_new_tokens")
    if signature.name == GENERATE and wanted is not None and wanted.shape == () and wanted > most_new_tokens:
        raise RequestError(BAD_REQUEST, f"max_new_tokens is {wanted}, expected from 1 to {most_new_tokens}")


def _value(body: Body, name: str, kind: type, default: Any) -> Any:
    value = body.get(name, default)
    if type(value) is not kind:
        names = {str: "a string", int: "a whole number", bool: "true or false"}
        found = f"is {shown(value)}" if name in body else "is missing"
        raise RequestError(BAD_REQUEST, f"{name} {found}, expected {names[kind]}")
    return value


def _number(body: Body, name: str, default: float) -> float:
    value = body.get(name, default)
    if type(value) not in (int, float):
        raise RequestError(BAD_REQUEST, f"{name} is {shown(value)}, expected a number")
    try:
        return float(value)
    except OverflowError as error:
        raise RequestError(BAD_REQUEST, f"{name} is too large") from error


def _stops(body: Body) -> tuple[str, ...]:
    value = body.get("stop", [])
    stops = [value] if isinstance(value, str) else value
    is_list = isinstance(stops, list) and len(stops) <= _MOST_STOPS
    if not is_list or not all(isinstance(stop, str) and stop for stop in stops):
        raise RequestError(
            BAD_REQUEST, f"stop is {shown(value)}, expected a string, or an array of at most {_MOST_STOPS} strings"
        )
    return tuple(stops)


def _check(name: str, value: Any, is_right: bool, expected: str) -> None:
    if not is_right:
        raise RequestError(BAD_REQUEST, f"{name} is {shown(value)}, expected {expected}")
