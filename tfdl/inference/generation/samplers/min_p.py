"""Tokens that are not much less likely than the most likely one."""

import math
from typing import Any

import tensorflow as tf

from tfdl.config.samplers import MinPSamplerConfig
from tfdl.inference.generation.samplers.sampler import IMPOSSIBLE, Sampler


class MinP(Sampler):
    r"""Keeps the tokens with $p_i \ge p \max_j p_j$ (Nguyen et al., 2024, https://arxiv.org/abs/2407.01082).

    In scores that is $s_i \ge \max_j s_j + \ln p$.

    Args:
        p: fraction of the largest probability.
    """

    def __init__(self, p: float):
        self.p = p

    def __call__(self, scores: Any, history: Any) -> Any:  # noqa: ARG002
        largest = tf.reduce_max(scores, -1, keepdims=True)  # (b, 1)
        return tf.where(scores >= largest + math.log(self.p), scores, IMPOSSIBLE)


def build(config: MinPSamplerConfig) -> MinP:
    """The sampler of a configuration."""
    return MinP(config.p)
