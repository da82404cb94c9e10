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
# With more classes than this, at least half of them must have a sample. A small set may lack many of 1,000 classes.
_MOST_SPARSE_CLASSES = 1000


def class_names_of(
    sources: Mapping[str, Source], label: tf.TensorSpec, trained_names: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """A name for each class, from the labels of all splits: numbers in their order, texts in alphabetical order.

    Args:
        sources: the splits, with a feature ``label``.
        label: shape and dtype of a label.
        trained_names: the classes that a run was trained for, if the data need not have all of them.

    Raises:
        UserError: labels that are neither whole numbers from 0 nor texts, numbers most of which are no label, or a
            label that is not among ``trained_names``.
    """
    if label.shape.ndims != 0 or not (label.dtype.is_integer or label.dtype == tf.string):
        raise UserError(
            f"labels have the dtype {label.dtype.name} and the shape {label.shape}, expected one whole number or text"
            " for each sample"
        )
    distinct_sources = {id(source): source for source in sources.values()}  # one may serve as several splits
    values = np.unique(np.concatenate([_labels(source) for source in distinct_sources.values()]))
    if label.dtype == tf.string:
        names = tuple(value.decode("utf-8", "replace") for value in values.tolist())
    else:
        _check_numbers(values)
        names = tuple(str(number) for number in range(int(values[-1]) + 1))
    if not trained_names:
        return names
    unknown = sorted(set(names) - set(trained_names))
    if unknown:
        raise UserError(
            f"the data have the label {unknown[0]!r}, expected one of the {len(trained_names)} classes that the run was"
            f" trained for, such as {trained_names[0]!r}"
        )
    return trained_names


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


def _check_numbers(values: np.ndarray) -> None:
    """Raises an error for numbers that are not those of classes, such as identifiers.

    Every number up to the largest is a class: an output of the model, and a row of the confusion matrix.

    Args:
        values: the distinct labels, rising.
    """
    if values[0] < 0:
        raise UserError(f"labels begin at {values[0]}, expected whole numbers from 0")
    num_classes = int(values[-1]) + 1
    if num_classes > _MOST_SPARSE_CLASSES and len(values) < num_classes / 2:
        raise UserError(
            f"the largest label is {values[-1]}, but there are only {len(values)} different labels; expected class"
            " numbers from 0 without large gaps: pass np.unique(labels, return_inverse=True)[1], or texts as labels"
        )


def _labels(source: Source) -> np.ndarray:
    batches = evaluation_batches(source, batch_size=_BATCH).map(do_not_convert(_label_alone))
    return np.concatenate([batch["label"] for batch in taken(batches.as_numpy_iterator())])


def _label_alone(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": batch["label"]}
