"""What a served language model returns for texts, in plain TensorFlow ops."""

from typing import Any

import tensorflow as tf

from tfdl.data.tokenizers import Tokenizer
from tfdl.tasks.cross_entropy_loss import cross_entropy

MOST_NEXT = 5
"""Number of next tokens that are returned."""


def scored(model: Any, begun: Any, window: int | None) -> dict[str, Any]:
    """The probability of every text.

    Args:
        model: tokens ``(b, t)`` to logits ``(b, t, v)``.
        begun: ragged ``(b, 1 + None)``: a first token, whose probability does not count, and the text's tokens.
        window: most tokens that the model reads at once. A longer text is cut into windows; each begins with the last
            token of the one before, as in evaluation. None reads the whole text.

    Returns:
        ``tokens``, ``log_probability`` and ``perplexity``, ``(b,)``; a text without a token has perplexity 1.
    """
    count = tf.cast(begun.row_lengths(), tf.int32) - 1  # (b,)
    longest = tf.maximum(tf.reduce_max(count), 1)
    padded_length = longest
    if window is not None:
        window = tf.minimum(window, longest)  # short texts are not padded to a whole window
        num_windows = -(-longest // window)  # rounded up
        padded_length = num_windows * window
    tokens = begun.to_tensor()
    tokens = tf.pad(tokens, [[0, 0], [0, padded_length + 1 - tf.shape(tokens)[1]]])  # (b, t + 1)
    inputs = tokens[:, :-1]  # (b, t)
    targets = tokens[:, 1:]  # (b, t)
    if window is not None:
        inputs = tf.reshape(inputs, [-1, window])  # (b * windows, window)
    logits = model(inputs, training=False)
    flat_logits = tf.reshape(logits, [-1, logits.shape[-1]])  # (b * t, v)
    flat_losses = cross_entropy(tf.reshape(targets, [-1]), flat_logits)
    losses = tf.reshape(flat_losses, tf.shape(targets))  # (b, t)
    is_token = tf.sequence_mask(count, padded_length, losses.dtype)  # (b, t)
    loss = tf.reduce_sum(losses * is_token, 1)  # (b,)
    mean_loss = loss / tf.cast(tf.maximum(count, 1), loss.dtype)
    # 0.0 - loss, since -0.0 would be printed as such.
    return {"tokens": count, "log_probability": 0.0 - loss, "perplexity": tf.exp(mean_loss)}


def next_tokens(model: Any, begun: Any, window: int | None, tokenizer: Tokenizer) -> dict[str, Any]:
    """The most likely next tokens of every text.

    Args:
        model: as for ``scored``.
        begun: as for ``scored``.
        window: as for ``scored``; the model reads the last ``window`` tokens of a longer text.
        tokenizer: returns tokens as strings. A token that is not text, such as the end, is the empty string.

    Returns:
        ``next_id``, ``next_token`` and ``next_probability``, ``(b, k)``, the most likely first. ``next_token`` is left
        out if the tokenizer has no form for a graph.
    """
    last = begun if window is None else begun[:, -window:]
    logits = model(last.to_tensor(), training=False)  # (b, t, v)
    last_position = tf.cast(last.row_lengths(), tf.int32) - 1  # (b,)
    next_logits = tf.gather(logits, last_position, batch_dims=1)  # (b, v)
    probabilities = tf.nn.softmax(next_logits)
    probability, token = tf.math.top_k(probabilities, min(MOST_NEXT, tokenizer.vocab_size))  # (b, k)
    answers = {"next_id": token, "next_probability": probability}
    if not tokenizer.has_graph:
        return answers
    # Each token is decoded as a text of its own.
    single_tokens = tf.RaggedTensor.from_uniform_row_length(tf.reshape(token, [-1]), 1)  # (b * k, 1)
    strings = tf.reshape(tokenizer.decode_in_graph(single_tokens), tf.shape(token))
    return {**answers, "next_token": strings}
