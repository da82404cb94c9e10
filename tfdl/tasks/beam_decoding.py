"""Beam search for translations, inside one graph."""

from typing import Any

import tensorflow as tf

from tfdl.tasks.beam_search import Beams, extended, finished, first_beams, is_over
from tfdl.tasks.greedy_decoding import PADDING


def beam_decode(
    model: Any, source: Any, *, start_id: int, end_id: int, max_length: int, num_beams: int, exponent: float
) -> tuple[Any, Any]:
    """Searches a target for each source of a batch. A target does not depend on the other sources.

    Args:
        model: an encoder-decoder with ``memory``, ``initial_cache`` and ``decode``.
        source: int32 ``(b, s)``, padded at the end with 0.
        start_id: the first token of every target.
        end_id: the last token of a target.
        max_length: most tokens of a target, including its end.
        num_beams: hypotheses of each target that are extended side by side.
        exponent: of the length penalty (``beam_search.length_penalty``).

    Returns:
        As ``greedy_decode``: tokens, int32 ``(b, t)``, 0 after the end; and log-probabilities ``(b,)``.
    """
    batch_size = tf.shape(source)[0]
    memory = tf.nest.map_structure(lambda tensor: tf.repeat(tensor, num_beams, 0), model.memory(source))

    def continues(length: Any, tokens: Any, beams: Beams, cache: Any) -> Any:  # noqa: ARG001
        return (length < max_length) & ~tf.reduce_all(is_over(beams))

    def step(length: Any, tokens: Any, beams: Beams, cache: Any) -> tuple[Any, ...]:
        logits, cache = model.decode(tokens[:, tf.newaxis], cache, length, memory)  # (b * k, 1, v)
        log_probabilities = by_search(tf.nn.log_softmax(logits[:, 0]), num_beams)  # (b, k, v)
        beams, parents, new_tokens = extended(beams, log_probabilities, length + 1, end_id=end_id, exponent=exponent)
        cache = of_parents(cache, parents)
        return length + 1, tf.reshape(new_tokens, [-1]), beams, cache

    first_values = (
        tf.constant(0),
        tf.fill([batch_size * num_beams], start_id),
        first_beams(batch_size, num_beams, max_length),
        model.initial_cache(batch_size * num_beams, max_length),
    )
    length, _, beams, _ = tf.while_loop(continues, step, first_values)
    beams = finished(beams, length, exponent)
    tokens = beams.ended_tokens[:, 0, :length]  # (b, t)
    return tf.maximum(tokens, PADDING), beams.ended_log_probabilities[:, 0]


def by_search(values: Any, num_beams: int) -> Any:
    """Reshapes ``(s * k, v)`` to ``(s, k, v)``.

    Args:
        values: a row for each hypothesis.
        num_beams: ``k``.
    """
    vocab_size = tf.shape(values)[1]
    return tf.reshape(values, [-1, num_beams, vocab_size])


def of_parents(state: Any, parents: Any) -> Any:
    """The rows of a state that new hypotheses continue.

    Args:
        state: a structure of tensors ``(s * k, ...)``.
        parents: which hypothesis of its search each new one continues, int32 ``(s, k)``.
    """
    num_searches = tf.shape(parents)[0]
    num_beams = parents.shape[1]
    first_rows = num_beams * tf.range(num_searches)[:, tf.newaxis]  # (s, 1)
    rows = tf.reshape(first_rows + parents, [-1])  # (s * k,)
    return tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), state)
