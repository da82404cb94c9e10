"""A small language-modeling task on real text: predict the next byte, in rows of unequal lengths."""

from collections.abc import Mapping
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data import ArraySource
from tfdl.data.pipeline import WEIGHT
from tfdl.tasks.cross_entropy_loss import cross_entropy
from tfdl.tasks.language_metrics import language_metrics
from tfdl.tasks.task import Task

VOCAB_SIZE = 128
LENGTH = 16


def text_source(rows: int) -> ArraySource:
    """Windows of Python's own documentation. In each window between 2 and all tokens count."""
    text = "".join(topics.values()).encode("ascii", "ignore")
    tokens = np.frombuffer(text, np.uint8)[: rows * (LENGTH + 1)]
    tokens = tokens.reshape(rows, LENGTH + 1).astype(np.int32)
    lengths = np.random.default_rng(0).integers(2, LENGTH + 1, rows)
    counted = np.arange(LENGTH) < lengths[:, np.newaxis]  # (rows, LENGTH)
    return ArraySource({"tokens": tokens, "counted": counted})


class StepTask(Task):
    """A task without data and serving. It is enough for steps and evaluations on batches that a test makes."""

    monitor = "loss"
    larger_is_better = False

    @classmethod
    def open(cls, *_: Any) -> Any:
        raise NotImplementedError

    @classmethod
    def load(cls, _: Any) -> Any:
        raise NotImplementedError

    def save(self, _: Any) -> None:
        raise NotImplementedError

    @property
    def model_arguments(self) -> dict[str, Any]:
        raise NotImplementedError

    def serving_signature(self) -> Any:
        raise NotImplementedError

    def serve(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def serving_sample(self, *_: Any) -> Any:
        raise NotImplementedError


class NextByte(StepTask):
    """The loss is the mean over the tokens that count.

    Args:
        plain_mean: Whether each rank's mean has the same weight, however many tokens count on it. This is the control:
            the result of a loss that is averaged on each rank.
    """

    name = "next-byte"
    running_metrics = ("loss",)

    def __init__(self, plain_mean: bool = False):
        self.plain_mean = plain_mean

    def inputs(self, batch: Mapping[str, Any]) -> Any:
        return batch["tokens"][:, :-1]

    def losses(self, batch: Mapping[str, Any], logits: Any) -> tuple[Any, Any]:
        losses = cross_entropy(batch["tokens"][:, 1:], logits)  # (B, T)
        weights = tf.cast(batch["counted"], losses.dtype)  # (B, T)
        if WEIGHT in batch:
            weights *= tf.cast(batch[WEIGHT], losses.dtype)[:, tf.newaxis]
        if self.plain_mean:
            weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights))
        return losses, weights

    def running_sums(self, batch: Mapping[str, Any], logits: Any, losses: Any) -> list[Any]:
        _, weights = self.losses(batch, logits)
        return [tf.reduce_sum(losses * weights)]

    def evaluation_rows(self, batch: Mapping[str, Any], logits: Any) -> dict[str, Any]:
        losses, weights = self.losses(batch, logits)  # (B, T)
        return {"loss": tf.reduce_sum(losses * weights, 1), "tokens": tf.reduce_sum(weights, 1)}  # (B,)

    def metrics(self, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        return language_metrics(rows["loss"], rows["tokens"])
