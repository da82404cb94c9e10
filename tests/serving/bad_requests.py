"""Any bytes as requests: an answer is 200 or a 4xx with TensorFlow Serving's error, and the server lives."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.serving.asking import Client

_NAMES = st.sampled_from(["image", "image_bytes", "inputs", "examples", "b64", "text", "signature_name", ""])
_NUMBERS = st.one_of(
    st.integers(0, 255), st.integers(), st.floats(), st.sampled_from([10**30, 1e308, -1, 256, 2**63, True, False])
)
_STRINGS = st.one_of(st.text(max_size=8), st.sampled_from(["AQ==", "*", "\ud800", "iVBORw0KGgo=", "/9j/"]))
_LEAVES = st.one_of(st.none(), _NUMBERS, _STRINGS, _STRINGS.map(lambda text: {"b64": text}))
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_NAMES, inner, max_size=3)),
    max_leaves=12,
)
_TEXTS = {
    "text": st.one_of(_VALUES, st.just("ab"), st.just(["ab", "b"])),
    "max_new_tokens": st.one_of(st.integers(1, 4), st.integers(1, 4), _LEAVES, st.just(2**31 - 1)),
    "temperature": st.one_of(st.just(0), st.just(1.0), _LEAVES),
    "top_k": st.one_of(st.integers(0, 5), _LEAVES),
    "top_p": st.one_of(st.just(1), st.just(1e-50), st.just(0.5), _LEAVES),
    "seed": st.one_of(st.integers(0, 9), _LEAVES),
}
_TEXT_BODIES = st.one_of(
    st.fixed_dictionaries({}, optional={**_TEXTS, "stop": _VALUES, "stream": st.one_of(st.booleans(), _LEAVES)}),
    st.fixed_dictionaries({"signature_name": st.just("generate"), "inputs": st.fixed_dictionaries(_TEXTS)}),
)
_PIXELS = st.lists(st.lists(st.lists(st.lists(_NUMBERS, max_size=2), max_size=3), max_size=3), max_size=3)
_SIGNATURES = st.one_of(
    st.sampled_from(["serving_default", "encoded", "examples", "classify", "generate", "no"]), _LEAVES
)
_BODIES = st.one_of(
    st.fixed_dictionaries({"instances": st.one_of(_PIXELS, _VALUES)}, optional={"signature_name": _SIGNATURES}),
    st.fixed_dictionaries({"inputs": st.one_of(_PIXELS, _VALUES)}, optional={"signature_name": _SIGNATURES}),
    st.fixed_dictionaries({"examples": _VALUES}, optional={"context": _VALUES, "signature_name": _SIGNATURES}),
    st.dictionaries(st.one_of(_NAMES, st.sampled_from(["instances", "inputs", "examples", "stream"])), _VALUES),
    _VALUES,
)
_JSON = st.one_of(_BODIES, _TEXT_BODIES).map(lambda body: json.dumps(body).encode())


def _damaged(text: bytes, place: int, piece: bytes) -> bytes:
    place %= len(text) + 1
    return text[:place] + piece + text[place + len(piece) :]


_BYTES = st.one_of(_JSON, st.binary(max_size=40), st.builds(_damaged, _JSON, st.integers(0), st.binary(max_size=3)))
_METHODS = [":predict", ":classify", ":generate", ":regress", "/metadata", ":"]
_MODELS = ["digits", "digits", "digits/versions/1", "digits/versions/2", "gpt", "x", ""]
_PATHS = st.one_of(
    st.sampled_from(["digits:predict", "digits:classify", "gpt:predict", "gpt:generate"]),
    st.builds("{}{}".format, st.sampled_from(_MODELS), st.sampled_from(_METHODS)),
)

REQUESTS = st.tuples(_PATHS, _BYTES)
"""Path and body of a request, most of which are wrong in one place."""


def check_answer(client: Client, path: str, body: bytes) -> int:
    """Sends a request, and checks that its answer is one of success or names what is wrong with the request.

    Args:
        client: of the server.
        path: under ``/v1/models``.
        body: of the request.

    Returns:
        The status.
    """
    status, content, headers = client.send("POST", f"/v1/models/{path}", body)
    if headers["content-type"].startswith("text/event-stream"):
        assert status == 200
        assert json.loads(content.rpartition(b"data: ")[2]).keys() >= {"done", "generated"}
        return status
    assert headers["content-type"] == "application/json"
    answer: Any = json.loads(content)
    if status == 200:
        texts = {"generated", "tokens", "finish", "log_probability"}
        assert answer.keys() <= {"predictions", "outputs", "results"} or answer.keys() == texts
    else:
        assert 400 <= status < 500, (status, answer)
        assert list(answer) == ["error"]
        assert isinstance(answer["error"], str)
        assert answer["error"]
        assert "Traceback" not in answer["error"]
        assert "/site-packages/" not in answer["error"]
    return status
