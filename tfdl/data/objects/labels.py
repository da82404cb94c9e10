"""Class labels that Python code passed: numbers or texts, as class numbers with names."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.autograph.experimental import do_not_convert

from tfdl.data.labels import Classes, classes_of
from tfdl.data.pipeline import evaluation_batches
from tfdl.data.python_reading import taken
from tfdl.data.sources import Source
from tfdl.errors import UserError

# Labels that are read together.
_BATCH = 1024
# With more classes than this, at least half of them must have a sample. A small set may lack many of 1,000 classes.
_MOST_SPARSE_CLASSES = 1000


def given_classes(
    sources: Mapping[str, Source],
    label: tf.TensorSpec,
    trained_names: Sequence[str] = (),
    *,
    needs_all: bool = True,
    exact: bool = False,
) -> Classes:
    """The classes of all splits' labels: numbers in their order, texts by the rule of ``classes_of``.

    Args:
        sources: the splits, with a feature ``label``.
        label: shape and dtype of a label.
        trained_names: the classes of a run that has begun before.
        needs_all: False if the data need not have all of ``trained_names``, and may have no other.
        exact: as for ``classes_of``.

    Raises:
        UserError: labels that are neither whole numbers from 0 nor texts, numbers most of which are no label, or a
            label that may not be there.
    """
    if label.shape.ndims != 0 or not (label.dtype.is_integer or label.dtype == tf.string):
        raise UserError(
            f"labels have the dtype {label.dtype.name} and the shape {label.shape}, expected one whole number or text"
            " for each sample"
        )
    distinct_sources = {id(source): source for source in sources.values()}  # one may serve as several splits
    values = np.unique(np.concatenate([_labels(source) for source in distinct_sources.values()]))
    if label.dtype == tf.string:
        classes = classes_of(map(_decoded, values.tolist()), trained_names, exact=exact)
    else:
        _check_numbers(values)
        names = tuple(str(number) for number in range(int(values[-1]) + 1))
        classes = Classes(names, {name: number for number, name in enumerate(names)})
    if needs_all or not trained_names:
        return classes
    unknown = sorted(set(classes.names) - set(trained_names))
    if unknown:
        raise UserError(
            f"the data have the label {unknown[0]!r}, expected one of the {len(trained_names)} classes that the run was"
            f" trained for, such as {trained_names[0]!r}"
        )
    return Classes(tuple(trained_names), classes.numbers, classes.notes)


def label_numbers(classes: Classes, label: tf.TensorSpec) -> Callable[[Any], Any]:
    """A function that turns a batch of labels ``(b,)`` into class numbers, with TensorFlow operations.

    Args:
        classes: the class number of each label.
        label: shape and dtype of a label.

    Returns:
        A function; it returns int32 ``(b,)``, and -1 for a text that is not a label.
    """
    if label.dtype != tf.string:
        return lambda labels: tf.cast(labels, tf.int32)
    labels_in_utf8 = [text.encode("utf-8", "surrogateescape") for text in classes.numbers]
    initializer = tf.lookup.KeyValueTensorInitializer(
        labels_in_utf8, list(classes.numbers.values()), tf.string, tf.int32
    )
    table = tf.lookup.StaticHashTable(initializer, default_value=-1)
    return lambda labels: table.lookup(labels)


def _decoded(label: bytes) -> str:
    try:
        return label.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"the label {label!r} is not UTF-8, expected a text") from error


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
