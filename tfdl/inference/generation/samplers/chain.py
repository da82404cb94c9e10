"""A chain of samplers, and the choice of the next token."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfdl.config.samplers import SAMPLERS, SamplerConfig


class SamplerChain:
    """Samplers that act one after the other.

    Args:
        configs: the samplers, in the order in which they act.
    """

    def __init__(self, configs: Sequence[SamplerConfig] = ()):
        self.samplers = tuple(SAMPLERS.load(config.name)(config) for config in configs)
        self.draws = any(config.draws for config in configs)

    def scores(self, logits: Any, history: Any) -> Any:
        """The scores that the samplers make of logits ``(b, v)``, of the same shape.

        Args:
            logits: of the next token.
            history: the tokens before, int32 ``(b, t)``, with -1 where there is none.
        """
        scores = logits
        for sampler in self.samplers:
            scores = tf.ensure_shape(sampler(scores, history), logits.shape)
        return scores

    def choose(self, logits: Any, history: Any, uniforms: Any) -> Any:
        """The next token of each row, int32 ``(b,)``.

        Args:
            logits: ``(b, v)``.
            history: as for ``scores``.
            uniforms: random numbers from 0 to below 1, float64 ``(b,)``; read only if the chain draws.
        """
        scores = self.scores(logits, history)  # (b, v)
        if not self.draws:
            return tf.argmax(scores, -1, tf.int32)
        return draw(scores, uniforms)


def draw(scores: Any, uniforms: Any) -> Any:
    """Draws from the softmax of the scores, by the inverse of the cumulative distribution.

    One random number for each row is enough, and what it means does not depend on the other rows.

    Args:
        scores: ``(b, v)``.
        uniforms: float64 ``(b,)``, from 0 to below 1.

    Returns:
        Tokens, int32 ``(b,)``. A token without probability is never drawn.
    """
    probabilities = tf.nn.softmax(tf.cast(scores, tf.float64))  # (b, v)
    cumulative = tf.cumsum(probabilities, axis=-1)  # (b, v)
    thresholds = uniforms[:, tf.newaxis] * cumulative[:, -1:]  # (b, 1)
    return tf.reduce_sum(tf.cast(cumulative <= thresholds, tf.int32), -1)  # (b,)
