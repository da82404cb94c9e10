"""The method ``classify`` of TensorFlow Serving: from features to the score of each class."""

import json
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.serving.errors import BAD_REQUEST, RequestError
from tfdl.serving.json_body import Body, check_keys, is_unicode, json_type, shown
from tfdl.serving.signature import CLASSIFY, Arrays, Signature
from tfdl.serving.tensors_in import decoded_b64, is_b64

_KEYS = {"signature_name", "context", "examples"}
_CLASSES = "classes"
_SCORES = "scores"
_LARGEST = 2**63


def examples_of(body: Body, signature: Signature) -> Arrays:
    """The input of the signature: serialized tf.Examples, which have the features of the context too.

    Args:
        body: of the request.
        signature: the function.

    Raises:
        RequestError: the signature is not for this method, or something is not a feature.
    """
    if signature.method != CLASSIFY or len(signature.inputs) != 1 or not {_CLASSES, _SCORES} & set(signature.outputs):
        raise RequestError(
            BAD_REQUEST,
            f"signature {signature.name!r} has the method {signature.method!r}, expected {CLASSIFY!r}; use :predict",
        )
    check_keys(body, _KEYS)
    examples = body.get("examples")
    if not isinstance(examples, list) or not examples:
        raise RequestError(BAD_REQUEST, 'expected "examples", an array of at least one object of features')
    context = _features(body.get("context", {}), '"context"')
    (name,) = signature.inputs
    rows = np.empty(len(examples), object)
    for number, example in enumerate(examples):
        features = _features(example, f"example {number}")
        twice = sorted(set(features) & set(context))
        if twice:
            raise RequestError(BAD_REQUEST, f'example {number} and "context" both have the feature {shown(twice[0])}')
        rows[number] = tf.train.Example(features=tf.train.Features(feature={**context, **features})).SerializeToString()
    return {name: rows}


def json_of_classes(outputs: Arrays) -> bytes:
    """The answer: for each example the classes in their order, ``[label, score]``.

    Args:
        outputs: ``classes`` and ``scores``, or one of them.
    """
    shape = next(iter(outputs.values())).shape
    labels = outputs.get(_CLASSES, np.full(shape, b"", object)).tolist()
    scores = outputs.get(_SCORES, np.zeros(shape, np.float32)).tolist()
    results = [
        [[label.decode(errors="replace"), score] for label, score in zip(row, row_scores, strict=True)]
        for row, row_scores in zip(labels, scores, strict=True)
    ]
    return json.dumps({"results": results}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _features(values: Any, where: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise RequestError(BAD_REQUEST, f"{where} is {json_type(values)}, expected an object of features")
    for name in values:
        if not is_unicode(name):
            raise RequestError(BAD_REQUEST, f"{where}: feature {shown(name)} has half of a surrogate pair")
    return {name: _feature(value, f"{where}: feature {shown(name)}") for name, value in values.items()}


def _feature(value: Any, where: str) -> Any:
    """A feature of a tf.Example: of one kind, as the types of its JSON values have it."""
    values = value if isinstance(value, list) else [value]
    kinds = {type(item) for item in values}
    if kinds <= {str, dict}:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[_bytes(item, where) for item in values]))
    if kinds <= {int, bool} and all(-_LARGEST <= item < _LARGEST for item in values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(item) for item in values]))
    if kinds == {float}:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    raise RequestError(
        BAD_REQUEST, f"{where} has the value {shown(value)}, expected strings, whole numbers of 64 bits, or decimals"
    )


def _bytes(value: Any, where: str) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise RequestError(BAD_REQUEST, f"{where} has half of a surrogate pair, expected Unicode") from error
    if is_b64(value):
        return decoded_b64(value, where)
    raise RequestError(BAD_REQUEST, f'{where} has the value {shown(value)}, expected a string or {{"b64": "..."}}')
