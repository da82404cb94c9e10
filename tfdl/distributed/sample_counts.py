"""How many samples a rank's epoch has, where that can be known before it is read."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf


def samples_in_epoch(given: Mapping[str, Any]) -> int | None:
    """Returns the number of samples that an epoch of ``fit`` trains on.

    Args:
        given: the arguments of ``fit`` by name.

    Returns:
        The number for arrays, and for a ``tf.data.Dataset`` of known length that is batched at its end. ``None`` for
        data of unknown length, and with ``steps_per_epoch``.
    """
    if given["steps_per_epoch"] is not None:
        return None
    if isinstance(given["x"], tf.data.Dataset):
        return _samples_of_dataset(given["x"])
    arrays = [part for part in keras.tree.flatten(given["x"]) if getattr(part, "shape", ())]
    if not arrays or arrays[0].shape[0] is None:
        return None
    held_out = given["validation_split"] if given["validation_data"] is None else 0.0
    return int(int(arrays[0].shape[0]) * (1.0 - (held_out or 0.0)))


def _samples_of_dataset(dataset: tf.data.Dataset) -> int | None:
    """Follows the transformations that keep batches as they are, back to the one that makes them."""
    batches = int(dataset.cardinality())
    while batches >= 0 and not hasattr(dataset, "_batch_size"):
        inputs = dataset._inputs()
        if len(inputs) != 1 or int(inputs[0].cardinality()) != batches:
            return None
        dataset = inputs[0]
    if batches < 0:
        return None
    size = int(dataset._batch_size)
    samples = int(dataset._inputs()[0].cardinality())
    if samples < 0:
        return None
    return samples if samples <= batches * size else batches * size
