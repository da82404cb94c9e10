"""What all tasks have in common."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.pipeline import WEIGHT, Augment
from tfdl.data.tokenizers import Tokenizer


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
    carries_state: bool = False
    """Whether the model goes from one batch to the next with its state."""
    evaluation_batch_size: int = 256
    """Samples that are evaluated together: as many on any number of ranks, so that a sample's loss is computed in the
    same company, to the bit."""
    evaluation_tokens: int | None = None
    """Most tokens of such a batch, where samples are texts of many lengths."""

    def running_values(self, means: dict[str, float]) -> dict[str, float]:
        """What is shown of the running metrics; by default their means."""
        return means

    def details(self, rows: Mapping[str, np.ndarray]) -> dict[str, Any]:  # noqa: ARG002
        """What a report shows beside the metrics, as plain data; by default nothing."""
        return {}


class TextTask(Task):
    """A task whose model reads tokens."""

    tokenizer: Tokenizer

    @property
    def tracked(self) -> tuple[tf.Module, ...]:  # type: ignore[override]
        """The tokenizer's tables."""
        return (self.tokenizer.graph,)


def sample_weights(batch: Mapping[str, Any], dtype: Any) -> Any:
    """How much each sample of a batch counts, ``(b,)``: 1 but for the stand-in of a rank without a sample."""
    if WEIGHT in batch:
        return tf.cast(batch[WEIGHT], dtype)
    return tf.ones(tf.shape(next(iter(batch.values())))[:1], dtype)


def right_tokens(targets: Any, logits: Any, weights: Any) -> Any:
    """The weights of the tokens that the model thinks most likely, 0 for all others; ``(b, t)``."""
    return weights * tf.cast(tf.equal(tf.argmax(logits, -1, tf.int32), targets), weights.dtype)
