"""Language modeling on real text, small: which byte comes next, in rows of unequal lengths."""

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

VOCAB_SIZE, LENGTH = 128, 16


def text_source(rows: int) -> ArraySource:
    """Windows of Python's own documentation; of each, a number of tokens between 2 and all is counted."""
    text = np.frombuffer("".join(topics.values()).encode("ascii", "ignore"), np.uint8)
    tokens = text[: rows * (LENGTH + 1)].reshape(rows, LENGTH + 1).astype(np.int32)
    lengths = np.random.default_rng(0).integers(2, LENGTH + 1, rows)
    return ArraySource({"tokens": tokens, "counted": np.arange(LENGTH) < lengths[:, np.newaxis]})


class StepTask(Task):
    """A task without data and serving: enough for steps and evaluations of batches that a test makes."""

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
    """The loss of a token counts where the token does.

    Args:
        plain_mean: weigh each rank's mean alike, however many tokens it has (the control: what a loss that is averaged
            on each rank comes to).
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
        return losses, tf.math.divide_no_nan(weights, tf.reduce_sum(weights)) if self.plain_mean else weights

    def running_sums(self, batch: Mapping[str, Any], logits: Any, losses: Any) -> list[Any]:
        _, weights = self.losses(batch, logits)
        return [tf.reduce_sum(losses * weights)]

    def evaluation_rows(self, batch: Mapping[str, Any], logits: Any) -> dict[str, Any]:
        losses, weights = self.losses(batch, logits)
        return {"loss": tf.reduce_sum(losses * weights, 1), "tokens": tf.reduce_sum(weights, 1)}

    def metrics(self, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        return language_metrics(rows["loss"], rows["tokens"])
