"""Class labels that Python code passed: numbers or texts, as class numbers with names."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.autograph.experimental import do_not_convert

from tfdl.data.pipeline import evaluation_batches
from tfdl.data.python_reading import taken
from tfdl.data.sources import Source
from tfdl.errors import UserError

# Labels that are read together.
_BATCH = 1024


def class_names_of(sources: Mapping[str, Source], label: tf.TensorSpec) -> tuple[str, ...]:
    """A name for each class, from the labels of all splits: numbers in their order, texts in alphabetical order.

    Args:
        sources: the splits, with a feature ``label``.
        label: shape and dtype of a label.

    Raises:
        UserError: labels that are neither whole numbers from 0 nor texts.
    """
    if label.shape.ndims != 0 or not (label.dtype.is_integer or label.dtype == tf.string):
        raise UserError(
            f"labels have the dtype {label.dtype.name} and the shape {label.shape}, expected one whole number or text"
            " for each sample"
        )
    values = np.unique(np.concatenate([_labels(source) for source in sources.values()]))
    if label.dtype == tf.string:
        return tuple(value.decode("utf-8", "replace") for value in values.tolist())
    if values[0] < 0:
        raise UserError(f"labels begin at {values[0]}, expected whole numbers from 0")
    return tuple(str(number) for number in range(int(values[-1]) + 1))


def label_numbers(class_names: tuple[str, ...], label: tf.TensorSpec) -> Callable[[Any], Any]:
    """A function that turns a batch of labels ``(b,)`` into class numbers, with TensorFlow operations.

    Args:
        class_names: a name for each class number.
        label: shape and dtype of a label.

    Returns:
        A function; it returns int32 ``(b,)``, and -1 for a text that is not a class name.
    """
    if label.dtype != tf.string:
        return lambda labels: tf.cast(labels, tf.int32)
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(list(class_names), tf.range(len(class_names))), default_value=-1
    )
    return lambda labels: table.lookup(labels)


def _labels(source: Source) -> np.ndarray:
    batches = evaluation_batches(source, batch_size=_BATCH).map(do_not_convert(_label_alone))
    return np.concatenate([batch["label"] for batch in taken(batches.as_numpy_iterator())])


def _label_alone(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": batch["label"]}
