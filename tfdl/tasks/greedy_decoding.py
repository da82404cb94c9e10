"""Greedy decoding inside a graph: each step adds the most likely next token to every target."""

from typing import Any

import tensorflow as tf

PADDING = 0


def greedy_decode(model: Any, source: Any, *, start_id: int, end_id: int, max_length: int) -> tuple[Any, Any]:
    """Decodes a target for each source of a batch. A target does not depend on the other sources.

    Each step of a loop in the graph adds a token to every target. It reads keys and values of the tokens before from a
    cache. The loop ends when all targets have ended, or at ``max_length``.

    Args:
        model: an encoder-decoder with ``memory``, ``initial_cache`` and ``decode``.
        source: int32 ``(b, s)``, padded at the end with 0.
        start_id: the first token of every target.
        end_id: the last token of a target.
        max_length: most tokens of a target, including its end.

    Returns:
        Tokens, int32 ``(b, t)``, without the start token. A target that ended has its end token, and 0 after it.
        Log-probabilities ``(b,)`` of these tokens, including the end token, in nats.
    """
    batch_size = tf.shape(source)[0]
    memory = model.memory(source)
    score_dtype = tf.float64 if model.dtype_policy.compute_dtype == "float64" else tf.float32

    def continues(position: Any, token: Any, has_ended: Any, *_: Any) -> Any:  # noqa: ARG001
        return tf.logical_and(position < max_length, tf.logical_not(tf.reduce_all(has_ended)))

    def step(position: Any, token: Any, has_ended: Any, score: Any, tokens: Any, cache: Any) -> Any:
        logits, cache = model.decode(token[:, tf.newaxis], cache, position, memory)  # (b, 1, v)
        log_probabilities = tf.nn.log_softmax(logits[:, 0])  # (b, v)
        best_token = tf.argmax(log_probabilities, -1, tf.int32)  # (b,)
        # A target that has ended gets padding, which does not change its score.
        token = tf.where(has_ended, PADDING, best_token)
        log_probability = tf.gather(log_probabilities, token, batch_dims=1)  # (b,)
        score += tf.where(has_ended, tf.zeros_like(log_probability), log_probability)
        has_ended = tf.logical_or(has_ended, token == end_id)
        tokens = tokens.write(position, token)
        return position + 1, token, has_ended, score, tokens, cache

    # The array grows with the steps: (t, b) at the end.
    tokens = tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=[None])
    first_values = (
        tf.constant(0),
        tf.fill([batch_size], start_id),
        tf.fill([batch_size], False),
        tf.zeros([batch_size], score_dtype),
        tokens,
        model.initial_cache(batch_size, max_length),
    )
    *_, score, tokens, _ = tf.while_loop(continues, step, first_values)
    return tf.transpose(tokens.stack()), score
