"""The fewest tokens that have a given probability together."""

from typing import Any

import tensorflow as tf

from tfdl.config.samplers import TopPSamplerConfig
from tfdl.inference.generation.samplers.sampler import IMPOSSIBLE, Sampler


class TopP(Sampler):
    r"""Keeps the nucleus of the distribution (Holtzman et al., 2020, https://arxiv.org/abs/1904.09751).

    With the probabilities $p_1 \ge p_2 \ge \dots$ of the scores' softmax, the tokens $1$ to $n$ stay, for the smallest
    $n$ with $p_1 + \dots + p_n \ge p$. More tokens stay if several have the score of token $n$.

    Args:
        p: the probability, above 0; a number, or a float64 scalar.
    """

    def __init__(self, p: Any):
        self.p = p

    def __call__(self, scores: Any, history: Any) -> Any:  # noqa: ARG002
        descending = tf.sort(scores, axis=-1, direction="DESCENDING")  # (b, v)
        probabilities = tf.nn.softmax(tf.cast(descending, tf.float64))  # (b, v)
        before = tf.cumsum(probabilities, axis=-1, exclusive=True)  # (b, v), of the tokens that are more likely
        num_kept = tf.reduce_sum(tf.cast(before < self.p, tf.int32), -1)  # (b,), at least 1
        smallest_kept = tf.gather(descending, num_kept - 1, batch_dims=1)  # (b,)
        return tf.where(scores >= smallest_kept[:, tf.newaxis], scores, IMPOSSIBLE)


def build(config: TopPSamplerConfig) -> TopP:
    """The sampler of a configuration."""
    return TopP(config.p)
