"""Fewer repetitions."""

from typing import Any

import tensorflow as tf

from tfdl.config.samplers import RepetitionPenaltySamplerConfig
from tfdl.inference.generation.samplers.sampler import Sampler


class RepetitionPenalty(Sampler):
    r"""Lowers the scores of tokens that prompt or text contain (Keskar et al., 2019, https://arxiv.org/abs/1909.05858).

    $$s_i \to s_i / \theta \ \text{if}\ s_i > 0 \qquad s_i \to s_i\, \theta \ \text{otherwise}$$

    The paper divides scores of any sign, which raises negative ones. Hugging Face's transformers has the rule above.

    Args:
        penalty: $\theta$; numbers below 1 favour repetitions.
    """

    def __init__(self, penalty: float):
        self.penalty = penalty

    def __call__(self, scores: Any, history: Any) -> Any:
        is_token = history >= 0  # (b, t)
        tokens = tf.where(is_token, history, 0)  # (b, t)
        rows = tf.broadcast_to(tf.range(tf.shape(tokens)[0])[:, tf.newaxis], tf.shape(tokens))  # (b, t)
        places = tf.stack([rows, tokens], -1)  # (b, t, 2)
        unused = tf.zeros_like(scores, tf.int32)  # (b, v)
        used = tf.tensor_scatter_nd_max(unused, places, tf.cast(is_token, tf.int32))  # (b, v)
        lowered = tf.where(scores > 0, scores / self.penalty, scores * self.penalty)  # (b, v)
        return tf.where(used > 0, lowered, scores)


def build(config: RepetitionPenaltySamplerConfig) -> RepetitionPenalty:
    """The sampler of a configuration."""
    return RepetitionPenalty(config.penalty)
