"""What a served language model says of texts, in plain TensorFlow ops."""

from typing import Any

import tensorflow as tf

from tfdl.data.tokenizers import Tokenizer
from tfdl.tasks.cross_entropy_loss import cross_entropy

MOST_NEXT = 5
"""Next tokens that are told."""


def scored(model: Any, begun: Any, window: int | None) -> dict[str, Any]:
    """The probability of every text, token by token.

    Args:
        model: tokens ``(b, t)`` to logits ``(b, t, v)``.
        begun: ragged ``(b, 1 + None)``, a first token that is given, and the text's.
        window: most tokens that the model reads at once; longer texts are cut into windows, each of which begins with
            what stood before it, as in evaluation. None reads the whole text.

    Returns:
        ``tokens``, ``log_probability`` and ``perplexity``, ``(b,)``; a text without a token has perplexity 1.
    """
    count = tf.cast(begun.row_lengths(), tf.int32) - 1  # (b,)
    longest = tf.maximum(tf.reduce_max(count), 1)
    places = longest if window is None else -(-longest // window) * window
    dense = begun.to_tensor()
    dense = tf.pad(dense, [[0, 0], [0, places + 1 - tf.shape(dense)[1]]])  # (b, t + 1)
    inputs, targets = dense[:, :-1], dense[:, 1:]
    logits = model(inputs if window is None else tf.reshape(inputs, [-1, window]), training=False)
    flat = tf.reshape(logits, [-1, logits.shape[-1]])
    losses = tf.reshape(cross_entropy(tf.reshape(targets, [-1]), flat), tf.shape(targets))  # (b, t)
    loss = tf.reduce_sum(losses * tf.sequence_mask(count, places, losses.dtype), 1)
    mean = loss / tf.cast(tf.maximum(count, 1), loss.dtype)
    return {"tokens": count, "log_probability": 0.0 - loss, "perplexity": tf.exp(mean)}


def next_tokens(model: Any, begun: Any, window: int | None, tokenizer: Tokenizer) -> dict[str, Any]:
    """What is most likely to follow every text.

    Args:
        model, begun, window: as for ``scored``; of a longer text the last ``window`` tokens count.
        tokenizer: its tokens are told as strings; those that are no text, such as the end of one, are empty.

    Returns:
        ``next_id``, ``next_token`` and ``next_probability``, ``(b, k)``, the likeliest first.
    """
    last = begun if window is None else begun[:, -window:]
    logits = model(last.to_tensor(), training=False)  # (b, t, v)
    place = tf.cast(last.row_lengths(), tf.int32) - 1
    probabilities = tf.nn.softmax(tf.gather(logits, place, batch_dims=1))  # (b, v)
    probability, token = tf.math.top_k(probabilities, min(MOST_NEXT, tokenizer.vocab_size))
    alone = tf.RaggedTensor.from_uniform_row_length(tf.reshape(token, [-1]), 1)
    strings = tf.reshape(tokenizer.decode_in_graph(alone), tf.shape(token))
    return {"next_id": token, "next_token": strings, "next_probability": probability}
