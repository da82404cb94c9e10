"""What all tasks have in common."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfdl.data.pipeline import WEIGHT, Augment


class Task:
    """What the numbers of one kind of data mean; each kind is a class of its own."""

    name: str
    running_metrics: tuple[str, ...]
    """What ``running_sums`` adds up, in its order."""
    monitor: str
    """The validation metric that decides which checkpoint is the best."""
    larger_is_better: bool
    headline: tuple[str, ...] = ()
    """Metrics that training has not, but validation, to be shown after each epoch."""
    notes: tuple[str, ...] = ()
    """Lines about the data, for whoever starts a run."""
    tracked: tuple[tf.Module, ...] = ()
    """What the graph of ``serve`` looks things up in: a SavedModel must hold it beside the weights."""

    augment: Augment | None = None
    """How training batches are changed at random; part of the input pipeline."""


def sample_weights(batch: Mapping[str, Any], dtype: Any) -> Any:
    """How much each sample of a batch counts, ``(b,)``: 1 but for the stand-in of a rank without a sample."""
    if WEIGHT in batch:
        return tf.cast(batch[WEIGHT], dtype)
    return tf.ones(tf.shape(next(iter(batch.values())))[:1], dtype)
