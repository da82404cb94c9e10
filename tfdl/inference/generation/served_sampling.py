"""How a served model chooses a token: its settings are inputs of the graph."""

from typing import Any

import tensorflow as tf

from tfdl.inference.generation.samplers.chain import draw
from tfdl.inference.generation.samplers.temperature import Temperature
from tfdl.inference.generation.samplers.top_k import TopK
from tfdl.inference.generation.samplers.top_p import TopP


def served_choice(logits: Any, temperature: Any, top_k: Any, top_p: Any, uniform: Any) -> Any:
    """The next token of each row, int32 ``(b,)``.

    The samplers are those of ``tfdl generate``, in its order: temperature, top-k, top-p.

    Args:
        logits: ``(b, v)``.
        temperature: a float, a scalar; 0 takes the most likely token.
        top_k: number of tokens to draw from, a scalar; 0 keeps all.
        top_p: the probability that the tokens to draw from have together, a scalar; 1 keeps all.
        uniform: a random number from 0 to below 1, float64: a scalar for all rows, or ``(b,)``. Rows do not depend on
            each other.
    """

    num_kept = tf.where(top_k > 0, top_k, logits.shape[-1])
    samplers = (Temperature(tf.cast(temperature, logits.dtype)), TopK(num_kept), TopP(tf.cast(top_p, tf.float64)))

    def drawn() -> Any:
        scores = logits
        for sampler in samplers:
            scores = sampler(scores, None)
        return draw(scores, tf.broadcast_to(uniform, [tf.shape(logits)[0]]))

    return tf.cond(temperature > 0, drawn, lambda: tf.argmax(logits, -1, tf.int32))


class ServedChain:
    """``served_choice`` in place of a ``SamplerChain``: its settings are inputs of the graph."""

    def choose(self, logits: Any, history: Any, uniforms: Any, *settings: Any) -> Any:  # noqa: ARG002
        """The next token of each row, int32 ``(b,)``.

        Args:
            logits: ``(b, v)``.
            history: not read.
            uniforms: float64 ``(b,)``.
            *settings: ``temperature``, ``top_k`` and ``top_p`` of ``served_choice``.
        """
        temperature, top_k, top_p = settings
        return served_choice(logits, temperature, top_k, top_p, uniforms)
