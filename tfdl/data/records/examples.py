"""Serialized ``tf.train.Example`` messages as named values, without TensorFlow."""

from typing import Any

from tfdl.data.records.values import Value


def values_of(serialized: bytes) -> dict[str, Value]:
    """Feature -> its value. Features with no value or with several are left out.

    Args:
        serialized: a ``tf.train.Example``.

    Raises:
        ValueError: it is none.
    """
    from google.protobuf.message import DecodeError
    from tensorflow_datasets.proto import tf_example_pb2

    try:
        example = tf_example_pb2.Example.FromString(serialized)
    except DecodeError:
        raise ValueError("not a tf.train.Example") from None
    values: dict[str, Value] = {}
    for name, feature in sorted(example.features.feature.items()):
        kind = feature.WhichOneof("kind")
        if kind is None:
            continue
        items = getattr(feature, kind).value
        if len(items) == 1:
            values[name] = items[0]
    if not values and serialized:
        raise ValueError("not a tf.train.Example with features of one value each")
    return values


def example_of(values: dict[str, bytes]) -> bytes:
    """A serialized ``tf.train.Example``; equal values give equal bytes.

    Args:
        values: feature -> its one value.
    """
    from tensorflow_datasets.proto import tf_example_pb2

    example: Any = tf_example_pb2.Example()
    for name, value in values.items():
        example.features.feature[name].bytes_list.value.append(value)
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized
