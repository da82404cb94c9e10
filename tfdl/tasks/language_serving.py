"""What a served language model returns for texts, in plain TensorFlow ops."""

from typing import Any

import tensorflow as tf

from tfdl.data.tokenizers import Tokenizer
from tfdl.tasks.cross_entropy_loss import cross_entropy

MOST_NEXT = 5
"""Number of next tokens that are returned."""
_MOST_LOGITS = 2**25


def scored(model: Any, begun: Any, window: int | None, vocab_size: int) -> dict[str, Any]:
    """The probability of every text.

    Args:
        model: tokens ``(b, t)`` to logits ``(b, t, v)``.
        begun: ragged ``(b, 1 + None)``: a first token, whose probability does not count, and the text's tokens.
        window: most tokens that the model reads at once. A longer text is cut into windows; each begins with the last
            token of the one before, as in evaluation. None reads the whole text.
        vocab_size: ``v``. It limits how many windows are computed together.

    Returns:
        ``tokens``, ``log_probability`` and ``perplexity``, ``(b,)``; a text without a token has perplexity 1.
    """
    count = tf.cast(begun.row_lengths(), tf.int32) - 1  # (b,)
    longest = tf.maximum(tf.reduce_max(count), 1)
    # Short texts need no whole window.
    width = longest if window is None else tf.minimum(longest, window)
    num_windows = -(-longest // width)  # rounded up
    padded_length = num_windows * width
    tokens = begun.to_tensor()
    tokens = tf.pad(tokens, [[0, 0], [0, padded_length + 1 - tf.shape(tokens)[1]]])  # (b, t + 1)
    inputs = tf.reshape(tokens[:, :-1], [-1, width])  # (b * windows, width)
    targets = tf.reshape(tokens[:, 1:], [-1, width])  # (b * windows, width)
    losses = _window_losses(model, inputs, targets, vocab_size)  # (b * windows, width)
    losses = tf.reshape(losses, [-1, padded_length])  # (b, t)
    is_token = tf.sequence_mask(count, padded_length, losses.dtype)  # (b, t)
    loss = tf.reduce_sum(losses * is_token, 1)  # (b,)
    mean_loss = loss / tf.cast(tf.maximum(count, 1), loss.dtype)
    # 0.0 - loss, since -0.0 would be printed as such.
    return {"tokens": count, "log_probability": 0.0 - loss, "perplexity": tf.exp(mean_loss)}


def _window_losses(model: Any, inputs: Any, targets: Any, vocab_size: int) -> Any:
    """The loss of each token, ``(windows, t)``. A loop computes some windows at a time, since logits are large.

    Args:
        model: as for ``scored``.
        inputs: int32 ``(windows, t)``.
        targets: int32 ``(windows, t)``.
        vocab_size: as for ``scored``.
    """
    num_windows, width = tf.unstack(tf.shape(inputs))
    together = tf.maximum(1, _MOST_LOGITS // vocab_size // width)

    def step(start: Any, losses: Any) -> tuple[Any, Any]:
        end = tf.minimum(start + together, num_windows)
        logits = model(inputs[start:end], training=False)  # (n, t, v)
        flat_losses = cross_entropy(tf.reshape(targets[start:end], [-1]), tf.reshape(logits, [-1, vocab_size]))
        return end, losses.write(losses.size(), tf.reshape(flat_losses, [-1, width]))

    loss_dtype = tf.float64 if model.dtype_policy.compute_dtype == "float64" else tf.float32
    losses = tf.TensorArray(loss_dtype, size=0, dynamic_size=True, infer_shape=False, element_shape=[None, None])
    _, losses = tf.while_loop(lambda start, _: start < num_windows, step, (0, losses))
    return losses.concat()


def next_tokens(model: Any, begun: Any, window: int | None, count: int) -> tuple[Any, Any]:
    """The most likely next tokens of every text.

    Args:
        model: as for ``scored``.
        begun: as for ``scored``.
        window: as for ``scored``; the model reads the last ``window`` tokens of a longer text.
        count: how many tokens to return, at most as many as the vocabulary has.

    Returns:
        Token numbers int32 ``(b, count)``, the most likely first, and their log-probabilities ``(b, count)`` in nats.
    """
    last = begun if window is None else begun[:, -window:]
    logits = model(last.to_tensor(), training=False)  # (b, t, v)
    last_position = tf.cast(last.row_lengths(), tf.int32) - 1  # (b,)
    next_logits = tf.gather(logits, last_position, batch_dims=1)  # (b, v)
    log_probabilities, tokens = tf.math.top_k(tf.nn.log_softmax(next_logits), count)  # (b, count)
    return tokens, log_probabilities


def served_next_tokens(model: Any, begun: Any, window: int | None, tokenizer: Tokenizer) -> dict[str, Any]:
    """The most likely next tokens of every text, as a served model returns them.

    Args:
        model: as for ``scored``.
        begun: as for ``scored``.
        window: as for ``next_tokens``.
        tokenizer: returns tokens as strings. A token that is not text, such as the end, is the empty string.

    Returns:
        ``next_id``, ``next_token`` and ``next_probability``, ``(b, k)``, the most likely first. ``next_token`` is left
        out if the tokenizer has no form for a graph.
    """
    tokens, log_probabilities = next_tokens(model, begun, window, min(MOST_NEXT, tokenizer.vocab_size))  # (b, k)
    answers = {"next_id": tokens, "next_probability": tf.exp(log_probabilities)}
    if not tokenizer.has_graph:
        return answers
    # Each token is decoded as a text of its own.
    single_tokens = tf.RaggedTensor.from_uniform_row_length(tf.reshape(tokens, [-1]), 1)  # (b * k, 1)
    strings = tf.reshape(tokenizer.decode_in_graph(single_tokens), tf.shape(tokens))
    return {**answers, "next_token": strings}
