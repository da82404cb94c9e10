"""The most likely next token, again and again: a target for each source, inside a graph."""

from typing import Any

import tensorflow as tf

PADDING = 0


def greedy_decode(model: Any, source: Any, *, start_id: int, end_id: int, max_length: int) -> tuple[Any, Any]:
    """Targets of a batch of sources, each as if it were alone.

    A loop in the graph adds a token to every target at each step, from the keys and values of those before, and ends
    when all targets have, or at ``max_length``.

    Args:
        model: an encoder-decoder with ``memory``, ``initial_cache`` and ``decode``.
        source: int32 ``(b, s)``, padded at the end with 0.
        start_id: what every target begins with.
        end_id: what a target ends with.
        max_length: most tokens of a target, its end included.

    Returns:
        Tokens, int32 ``(b, t)``: with the end, where a target has come to one, without the start, and 0 after the end.
        Log-probabilities ``(b,)`` of these tokens, the end included, in nats.
    """
    count = tf.shape(source)[0]
    memory = model.memory(source)
    # One array for all tokens grows with the steps; a target that has ended gets padding, which adds nothing.
    written = tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=[None])

    def goes_on(place: Any, token: Any, ended: Any, *_: Any) -> Any:  # noqa: ARG001
        return tf.logical_and(place < max_length, tf.logical_not(tf.reduce_all(ended)))

    def step(place: Any, token: Any, ended: Any, score: Any, written: Any, cache: Any) -> Any:
        logits, cache = model.decode(token[:, tf.newaxis], cache, place, memory)  # (b, 1, V)
        log_probabilities = tf.nn.log_softmax(logits[:, 0])  # (b, V)
        token = tf.where(ended, PADDING, tf.argmax(log_probabilities, -1, tf.int32))
        gained = tf.gather(log_probabilities, token, batch_dims=1)
        score += tf.where(ended, tf.zeros_like(gained), gained)
        return place + 1, token, tf.logical_or(ended, token == end_id), score, written.write(place, token), cache

    begin = (
        tf.constant(0),
        tf.fill([count], start_id),
        tf.fill([count], False),
        tf.zeros([count], tf.float64 if model.dtype_policy.compute_dtype == "float64" else tf.float32),
        written,
        model.initial_cache(count, max_length),
    )
    *_, score, written, _ = tf.while_loop(goes_on, step, begin)
    return tf.transpose(written.stack()), score
