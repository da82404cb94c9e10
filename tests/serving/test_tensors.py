"""JSON to tensors and back, for every kind of tensor."""

import json

import numpy as np
import pytest

from tfdl.serving.errors import RequestError
from tfdl.serving.json_body import read_object
from tfdl.serving.signature import Signature, TensorInfo
from tfdl.serving.tensors_in import inputs_of
from tfdl.serving.tensors_out import json_of_outputs

IMAGE = Signature("serving_default", {"image": TensorInfo("uint8", (None, None, None, 1))}, {})
VECTOR = Signature("serving_default", {"x": TensorInfo("float32", (None, 2))}, {})
TEXT = Signature("serving_default", {"text": TensorInfo("string", (None,))}, {})
TWO = Signature("serving_default", {"a": TensorInfo("int64", (None,)), "b": TensorInfo("bool", (None, 1))}, {})
SCALAR = Signature("generate", {"text": TensorInfo("string", (None,)), "k": TensorInfo("int32", ())}, {})
STRING = Signature("serving_default", {"t": TensorInfo("string", ())}, {})
ANY = Signature("serving_default", {"x": TensorInfo("float32", None)}, {})


def arrays(text, signature):
    found, _ = inputs_of(read_object(text.encode()), signature)
    return found


@pytest.mark.parametrize(
    ("text", "signature", "expected"),
    [
        ('{"instances": [[1.5, 2], [3, -4e0]]}', VECTOR, {"x": np.array([[1.5, 2], [3, -4]], np.float32)}),
        ('{"inputs": [[NaN, -Infinity]]}', VECTOR, {"x": np.array([[np.nan, -np.inf]], np.float32)}),
        ('{"inputs": {"x": [[0.1, 2]]}}', VECTOR, {"x": np.array([[0.1, 2]], np.float32)}),
        ('{"instances": [[[[0], [255]]]]}', IMAGE, {"image": np.array([[[[0], [255]]]], np.uint8)}),
        ('{"instances": ["é", {"b64": "/wA="}]}', TEXT, {"text": np.array(["é".encode(), b"\xff\x00"], object)}),
        ('{"instances": [{"b64": "AQ"}]}', TEXT, {"text": np.array([b"\x01"], object)}),
        ('{"inputs": {"text": []}}', TEXT, {"text": np.array([], object)}),
        ('{"inputs": {"b64": "AQ=="}}', STRING, {"t": np.array(b"\x01", object)}),
        (
            '{"instances": [{"a": 1, "b": [true]}, {"b": [false], "a": -2}]}',
            TWO,
            {"a": np.array([1, -2]), "b": np.array([[True], [False]])},
        ),
        ('{"inputs": {"text": ["x"], "k": 3}}', SCALAR, {"text": np.array([b"x"], object), "k": np.array(3, np.int32)}),
        ('{"inputs": [[1, 2], [3, 4]]}', ANY, {"x": np.array([[1, 2], [3, 4]], np.float32)}),
        ('{"inputs": 7}', ANY, {"x": np.array(7, np.float32)}),
    ],
)  # fmt: skip
def test_inputs(text, signature, expected):
    found = arrays(text, signature)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert np.array_equal(found[name], array, equal_nan=array.dtype.kind == "f")


@pytest.mark.parametrize(
    ("text", "signature", "message"),
    [
        ('{"instances": [[1, 2], [3]]}', VECTOR, "a row with lists of unequal lengths, expected a list of 2"),
        ('{"instances": [[1, 2, 3]]}', VECTOR, "a row with a list of 3 values, expected a list of 2 float32 values"),
        ('{"instances": [[[1, 2]]]}', VECTOR, "has a row with a list of 1 value, expected"),
        ('{"instances": [[[1], [2]]]}', VECTOR, "has a row with a list at axis 1, expected"),
        ('{"instances": [1, 2]}', VECTOR, "has a row with number 1, expected a list of 2"),
        ('{"instances": [[1, null]]}', VECTOR, "has the value null, expected numbers"),
        ('{"instances": [[1, true]]}', VECTOR, "has the value true, expected numbers"),
        ('{"instances": [["1", 2]]}', VECTOR, 'has the value "1", expected numbers'),
        ('{"instances": [[1e39, 2]]}', VECTOR, "a number that is too large for float32"),
        ('{"instances": [[1e999, 2]]}', VECTOR, "a number that is too large for float32"),
        ('{"instances": [[Infinity, -1e999]]}', VECTOR, "a number that is too large for float32"),
        (f'{{"instances": [[1{"0" * 400}, 2]]}}', VECTOR, "a number that is too large, expected numbers"),
        ('{"instances": [[[[256]]]]}', IMAGE, "the value 256, expected whole numbers from 0 to 255"),
        ('{"instances": [[[[-1]]]]}', IMAGE, "the value -1, expected whole numbers from 0 to 255"),
        ('{"instances": [[[[1.0]]]]}', IMAGE, "has the value 1.0, expected whole numbers from 0 to 255"),
        ('{"instances": [[[[true]]]]}', IMAGE, "has the value true, expected whole numbers"),
        ('{"inputs": []}', IMAGE, "a list of 0 values at axis 1, expected lists of the shape"),
        ('{"instances": []}', TEXT, '"instances" is an empty array, expected an array of at least one row'),
        ('{"instances": "x"}', TEXT, '"instances" is string "x", expected an array'),
        ('{"instances": ["x", 1]}', TEXT, "has the value 1, expected a string"),
        ('{"instances": ["\\ud800"]}', TEXT, "half of a surrogate pair"),
        ('{"instances": [{"b64": "*"}]}', TEXT, "a value of b64 that is not Base64"),
        ('{"instances": [{"b64": 1}]}', TEXT, 'row 0: missing inputs: text; unexpected: "b64"'),
        ('{"instances": [{"text": "x"}, "y"]}', TEXT, "has objects and plain values"),
        ('{"instances": [{"text": "x", "y": 1}]}', TEXT, 'row 0: missing inputs: none; unexpected: "y"'),
        ('{"instances": [1, 2]}', TWO, "expected objects with a: int64 (any), b: bool (any, 1)"),
        ('{"inputs": {"a": [1]}}', TWO, '"inputs": missing inputs: b; unexpected: none'),
        ('{"inputs": {"a": [9223372036854775808], "b": [[true]]}}', TWO, "expected whole numbers from -9223"),
        ('{"inputs": {"a": [1], "b": [[0]]}}', TWO, "has the value 0, expected true or false"),
        ('{"instances": [{"text": "x", "k": 1}]}', SCALAR, 'takes one value of k for all rows; use "inputs"'),
        ('{"inputs": {"text": ["x"], "k": [1]}}', SCALAR, "has a list, expected one int32 value"),
        ('{"inputs": [], "instances": []}', TEXT, '"inputs" (columns), expected one of them, not both'),
        ('{"instances": null}', TEXT, '"instances" is null, expected an array of at least one row'),
        ('{"inputs": {"text": "a"}}', TEXT, 'has string "a", expected a list of strings'),
        ('{"instances": [["a"]]}', TEXT, "has a row with a list, expected a string in each row"),
        ('{"instances": [[1, 2]]}', IMAGE, "number 1 at axis 1, expected lists of the shape (any, any, 1) of"),
        ('{"inputs": {"a": [1], "b": [[Infinity]]}}', TWO, "has the value Infinity, expected true or false"),
        ('{"inputs": {"a": [1], "b": [[1e999]]}}', TWO, "has the value a number that is too large, expected true or"),
        ("{}", TEXT, 'expected one of the keys "instances"'),
        ('{"inputs": ["x"], "intances": 1}', TEXT, 'unknown key "intances", expected inputs, instances'),
        ('{"inputs": [[1], 2]}', ANY, "number 2 at axis 1"),
    ],
)  # fmt: skip
def test_what_is_refused(text, signature, message):
    with pytest.raises(RequestError) as raised:
        arrays(text, signature)
    assert raised.value.status == 400
    assert message in raised.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the body is not JSON"),
        (b"\xff{}", "the body is not UTF-8 (byte 0), expected JSON"),
        (b"[1]", "the body is a JSON array, expected an object"),
        (b'{"a": 1, "a": 2}', 'the key "a" occurs twice in one object'),
        (b'{"inputs": ' + b"[" * 100_000, "the body's JSON is nested too deeply"),
        (b'{"inputs": ' + b"9" * 10_000 + b"}", "Exceeds the limit"),
        (b'{"inputs": 1', "the body is not JSON: Expecting"),
    ],
)
def test_what_is_no_body(text, message):
    with pytest.raises(RequestError) as raised:
        read_object(text)
    assert raised.value.status == 400
    assert message in raised.value.message


def test_a_nested_bomb_for_a_tensor_of_any_rank():
    depth = 400
    with pytest.raises(RequestError, match="a list at axis 16"):
        arrays(f'{{"inputs": {"[" * depth}{"]" * depth}}}', ANY)


@pytest.mark.parametrize(
    ("outputs", "is_row", "expected"),
    [
        ({"y": np.array([[1.5], [2]], np.float32)}, True, '{"predictions":[[1.5],[2.0]]}'),
        ({"y": np.array([[1.5], [2]], np.float32)}, False, '{"outputs":[[1.5],[2.0]]}'),
        ({"y": np.array([np.nan, np.inf, -np.inf])}, True, '{"predictions":[NaN,Infinity,-Infinity]}'),
        ({"y": np.array(3)}, False, '{"outputs":3}'),
        (
            {"b": np.array([1, 2]), "a": np.array(["é".encode(), b"\xff"], object)},
            True,
            '{"predictions":[{"a":"é","b":1},{"a":"\ufffd","b":2}]}',
        ),
        (
            {"b": np.array([True]), "a_bytes": np.array([b"\xff"], object)},
            False,
            '{"outputs":{"a_bytes":[{"b64":"/w=="}],"b":[true]}}',
        ),
    ],
)
def test_outputs(outputs, is_row, expected):
    assert json_of_outputs(outputs, is_row).decode() == f"{expected}\n"


def test_outputs_without_rows_have_no_row_form():
    for outputs in ({"y": np.array(3)}, {"x": np.zeros(2), "y": np.zeros(3)}):
        with pytest.raises(RequestError, match="the outputs have unequal numbers of rows"):
            json_of_outputs(outputs, is_row=True)


def test_small_floats():
    import ml_dtypes

    (value,) = json.loads(json_of_outputs({"y": np.array([0.5], ml_dtypes.bfloat16)}, is_row=True))["predictions"]
    assert value == 0.5
