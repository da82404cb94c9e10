"""Beam search: the likeliest texts among many that are extended side by side, inside a graph."""

import math
from typing import Any, NamedTuple

import tensorflow as tf

from tfdl.errors import UserError

NO_TOKEN = -1
DEFAULT_LENGTH_PENALTY = 0.6
"""The exponent of the length penalty, as in Vaswani et al. (2017)."""
_IMPOSSIBLE = float("-inf")


class Beams(NamedTuple):
    """The hypotheses of ``s`` searches: ``k`` that are extended, and the best ``k`` that have ended."""

    scores: Any
    """Log-probabilities of the extended hypotheses, ``(s, k)``, the largest first; minus infinity for none."""
    tokens: Any
    """Their tokens, int32 ``(s, k, t)``, -1 where there is none yet."""
    ended_scores: Any
    """Log-probabilities divided by the length penalty, ``(s, k)``, the largest first; minus infinity for none."""
    ended_tokens: Any
    """Tokens of hypotheses that have ended, with the end token, int32 ``(s, k, t)``."""
    ended_log_probabilities: Any
    """Their log-probabilities, ``(s, k)``."""


def check_search(num_beams: int, exponent: float) -> None:
    """Checks what a user asked for.

    Args:
        num_beams: hypotheses that are extended side by side.
        exponent: of the length penalty.

    Raises:
        UserError: a number out of range.
    """
    if num_beams < 1:
        raise UserError(f"beams={num_beams}, expected at least 1")
    if not 0 <= exponent < math.inf:
        raise UserError(f"length_penalty={exponent}, expected a number of at least 0, such as 0.6")


def length_penalty(length: Any, exponent: float) -> Any:
    r"""$((5 + n) / 6)^\alpha$ (Wu et al., 2016, https://arxiv.org/abs/1609.08144, equation 14).

    Args:
        length: $n$, tokens of a hypothesis including its end.
        exponent: $\alpha$; 0 compares log-probabilities, which prefers short texts.
    """
    return tf.pow((5.0 + tf.cast(length, tf.float32)) / 6.0, exponent)


def first_beams(num_searches: Any, num_beams: int, most_tokens: Any) -> Beams:
    """The hypotheses before the first token: one for each search.

    Args:
        num_searches: ``s``.
        num_beams: ``k``.
        most_tokens: ``t``, the length at which every hypothesis ends.
    """
    one_of_each = tf.one_hot(tf.zeros([num_searches], tf.int32), num_beams, on_value=0.0, off_value=_IMPOSSIBLE)
    no_scores = tf.fill([num_searches, num_beams], _IMPOSSIBLE)
    no_tokens = tf.fill([num_searches, num_beams, most_tokens], NO_TOKEN)
    return Beams(one_of_each, no_tokens, no_scores, no_tokens, no_scores)


def extended(
    beams: Beams, log_probabilities: Any, length: Any, *, end_id: int, exponent: float
) -> tuple[Beams, Any, Any]:
    """Adds a token to every hypothesis and keeps the best.

    Of all continuations the 2k likeliest are looked at. Those among the first k that end are hypotheses that have
    ended; the k likeliest that do not end are extended further. A search is over when k hypotheses have ended. With one
    beam that is greedy decoding.

    Args:
        beams: the hypotheses so far.
        log_probabilities: of each next token, ``(s, k, v)``.
        length: number of tokens with the new one, a scalar.
        end_id: the end token.
        exponent: of the length penalty.

    Returns:
        The new hypotheses; for each extended one the number of the hypothesis that it continues, int32 ``(s, k)``; and
        its new token, int32 ``(s, k)``.
    """
    num_beams = beams.scores.shape[1]
    vocab_size = tf.shape(log_probabilities)[2]
    log_probabilities = tf.cast(log_probabilities, tf.float32)
    totals = beams.scores[..., tf.newaxis] + log_probabilities  # (s, k, v)
    flat = tf.reshape(totals, [-1, num_beams * vocab_size])  # (s, k * v)
    best, places = tf.math.top_k(flat, 2 * num_beams)  # (s, 2k) each
    parents = places // vocab_size  # (s, 2k)
    new_tokens = places % vocab_size  # (s, 2k)
    is_end = new_tokens == end_id
    is_open = ~is_over(beams)[:, tf.newaxis]  # (s, 1)
    column = tf.range(tf.shape(beams.tokens)[2]) == length - 1  # (t,)
    candidate_tokens = tf.gather(beams.tokens, parents, batch_dims=1)  # (s, 2k, t)
    candidate_tokens = tf.where(column, new_tokens[..., tf.newaxis], candidate_tokens)

    ends = is_end & is_open & (tf.range(2 * num_beams) < num_beams)  # (s, 2k)
    ended = tf.where(ends, best / length_penalty(length, exponent), _IMPOSSIBLE)  # (s, 2k)
    ended_beams = with_ended(beams, ended, candidate_tokens, best)

    going_on = tf.where(is_end, _IMPOSSIBLE, best)  # (s, 2k)
    scores, chosen = tf.math.top_k(going_on, num_beams)  # (s, k) each
    tokens = tf.gather(candidate_tokens, chosen, batch_dims=1)  # (s, k, t)
    parents = tf.gather(parents, chosen, batch_dims=1)  # (s, k)
    new_tokens = tf.gather(new_tokens, chosen, batch_dims=1)  # (s, k)
    return ended_beams._replace(scores=scores, tokens=tokens), parents, new_tokens


def with_ended(beams: Beams, scores: Any, tokens: Any, log_probabilities: Any) -> Beams:
    """Keeps the k best hypotheses that have ended.

    Args:
        beams: the hypotheses so far.
        scores: divided by the length penalty, of more hypotheses that have ended, ``(s, n)``; minus infinity for none.
        tokens: ``(s, n, t)``.
        log_probabilities: ``(s, n)``.
    """
    num_beams = beams.scores.shape[1]
    all_scores = tf.concat([beams.ended_scores, scores], 1)  # (s, k + n)
    kept_scores, kept = tf.math.top_k(all_scores, num_beams)  # (s, k) each
    all_tokens = tf.concat([beams.ended_tokens, tokens], 1)
    all_log_probabilities = tf.concat([beams.ended_log_probabilities, log_probabilities], 1)
    return beams._replace(
        ended_scores=kept_scores,
        ended_tokens=tf.gather(all_tokens, kept, batch_dims=1),
        ended_log_probabilities=tf.gather(all_log_probabilities, kept, batch_dims=1),
    )


def finished(beams: Beams, length: Any, exponent: float) -> Beams:
    """Ends the hypotheses of searches that are not over, at the largest length.

    Args:
        beams: the hypotheses.
        length: number of tokens of those that are extended.
        exponent: of the length penalty.
    """
    is_open = ~is_over(beams)[:, tf.newaxis]  # (s, 1)
    scores = tf.where(is_open, beams.scores / length_penalty(length, exponent), _IMPOSSIBLE)  # (s, k)
    return with_ended(beams, scores, beams.tokens, beams.scores)


def is_over(beams: Beams) -> Any:
    """Whether each search is over: k hypotheses have ended; booleans ``(s,)``."""
    return beams.ended_scores[:, -1] > _IMPOSSIBLE
