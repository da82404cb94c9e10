"""The most likely token."""

from typing import Any

import tensorflow as tf

from tfdl.config.samplers import GreedySamplerConfig
from tfdl.inference.generation.samplers.sampler import IMPOSSIBLE, Sampler


class Greedy(Sampler):
    r"""Keeps the token with the largest score; of equal scores, the first."""

    def __call__(self, scores: Any, history: Any) -> Any:  # noqa: ARG002
        best = tf.argmax(scores, -1)  # (b,)
        is_best = tf.one_hot(best, scores.shape[-1], on_value=True, off_value=False)  # (b, v)
        return tf.where(is_best, scores, IMPOSSIBLE)


def build(config: GreedySamplerConfig) -> Greedy:  # noqa: ARG001
    """The sampler of a configuration."""
    return Greedy()
