"""The k most likely tokens."""

from typing import Any

import tensorflow as tf

from tfdl.config.samplers import TopKSamplerConfig
from tfdl.inference.generation.samplers.sampler import IMPOSSIBLE, Sampler


class TopK(Sampler):
    """Keeps the k largest scores (Fan, Lewis and Dauphin, 2018, https://arxiv.org/abs/1805.04833).

    More tokens stay if several have the k-th largest score.

    Args:
        k: number of tokens, an integer or a scalar; all of them if the vocabulary is smaller.
    """

    def __init__(self, k: Any):
        self.k = k

    def __call__(self, scores: Any, history: Any) -> Any:  # noqa: ARG002
        largest, _ = tf.math.top_k(scores, tf.minimum(self.k, scores.shape[-1]))  # (b, k)
        smallest_kept = largest[:, -1:]  # (b, 1)
        return tf.where(scores >= smallest_kept, scores, IMPOSSIBLE)


def build(config: TopKSamplerConfig) -> TopK:
    """The sampler of a configuration."""
    return TopK(config.k)
