"""The signature of TensorFlow Serving's method ``classify``: from tf.Examples to the score of each class."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.tasks.served_signature import ServedSignature

CLASSIFY = "classify"
"""The name of the signature."""
# Names that TensorFlow Serving expects.
_INPUTS = "inputs"
_CLASSES = "classes"
_SCORES = "scores"


def classify_signature(
    class_names: Sequence[str],
    answer: Callable[[Any, Any], dict[str, Any]],
    sample: Callable[[int], list[bytes]],
) -> ServedSignature:
    """``inputs``: serialized tf.Examples ``(b,)``, to ``classes`` and ``scores``, ``(b, classes)``.

    Args:
        class_names: a name for each class.
        answer: ``answer(model, examples)`` returns ``probabilities`` ``(b, classes)``.
        sample: ``sample(count)`` returns serialized tf.Examples.
    """

    def classified(model: Any, inputs: Any) -> dict[str, Any]:
        scores = tf.cast(answer(model, inputs)["probabilities"], tf.float32)  # (b, classes)
        classes = tf.constant([list(class_names)])  # (1, classes)
        return {_CLASSES: tf.tile(classes, [tf.shape(scores)[0], 1]), _SCORES: scores}

    return ServedSignature(
        {_INPUTS: tf.TensorSpec([None], tf.string, name=_INPUTS)},
        classified,
        lambda count: {_INPUTS: np.array(sample(count))},
    )


def example_of_bytes(feature: str, value: bytes) -> bytes:
    """A serialized tf.Example with one feature.

    Args:
        feature: its name.
        value: its value.
    """
    values = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    serialized: bytes = tf.train.Example(features=tf.train.Features(feature={feature: values})).SerializeToString()
    return serialized
