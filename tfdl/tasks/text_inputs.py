"""Texts as models read them: how long they may be, and the way there inside a served graph."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import TrainConfig
from tfdl.data.tokenizers import Tokenizer
from tfdl.data.tokens.source import Frame
from tfdl.errors import UserError

# The longest text of a model without positions; BERT reads as many tokens.
_LONGEST = 512
# Fills up rows of token numbers; it is no token.
_NO_TOKEN = -1


def longest_text(config: TrainConfig, default: int = _LONGEST) -> int:
    """The largest number of tokens that a model reads at a time.

    It is the configured number, or else the number of the model's positions, or else ``default``.

    Args:
        config: the run.
        default: for a model without positions.

    Raises:
        UserError: more tokens than the model can read.
    """
    model = config.model
    # A family of the user may have neither field.
    num_positions = getattr(model, "sequence_length", None)
    positions = getattr(model, "positions", None)
    longest = int(config.dataset.sequence_length or num_positions or default)
    if num_positions is not None and longest > num_positions and positions == "learned":
        raise UserError(
            f"dataset.sequence_length={longest}, but the model {model.label!r} has {num_positions} learned positions;"
            f" expected at most {num_positions}, or --set model.sequence_length={longest}"
        )
    model.check_length("dataset.sequence_length", longest)
    return longest


def framed_length(config: TrainConfig) -> int:
    """``longest_text`` for texts that have an additional token at their start or end.

    Args:
        config: the run.

    Raises:
        UserError: as ``longest_text``, or fewer than 2 tokens.
    """
    longest = longest_text(config)
    if longest < 2:
        raise UserError(
            f"dataset.sequence_length={longest}, expected at least 2: one token marks a text's start or end"
        )
    return longest


def cut_note(sources: Mapping[str, Any], longest: int) -> tuple[str, ...]:
    """One line that says how many samples are cut, to show when a run starts; no line if none is cut.

    Args:
        sources: split -> a source that counts the texts that it cuts (``num_cut``).
        longest: the largest number of tokens.
    """
    if not any(source.num_cut for source in sources.values()):
        return ()
    counts = [f"{source.num_cut:,} of {source.num_examples:,} in {split}" for split, source in sources.items()]
    return (f"texts of more than {longest} tokens are cut: {', '.join(counts)} (--sequence-length)",)


def with_stand_in(texts: Any) -> Any:
    """Strings ``(b,)``; one empty text if there are none, since not every kernel takes an empty batch."""
    num_stand_ins = tf.cast(tf.shape(texts)[0] == 0, tf.int32)
    return tf.concat([texts, tf.fill([num_stand_ins], "")], 0)


def text_signature(tokenizer: Tokenizer) -> dict[str, tf.TensorSpec]:
    """What a served model of texts takes: strings, or token numbers if the tokenizer has no form for a graph.

    Args:
        tokenizer: text to tokens.

    Returns:
        ``text``: UTF-8 ``(b,)``; or ``token_ids``: int32 ``(b, t)``, where -1 fills up the end of shorter texts.
    """
    if tokenizer.has_graph:
        return {"text": tf.TensorSpec([None], tf.string, name="text")}
    return {"token_ids": tf.TensorSpec([None, None], tf.int32, name="token_ids")}


def tokens_of(tokenizer: Tokenizer, text: Any, token_ids: Any) -> tf.RaggedTensor:
    """The tokens of the inputs of ``text_signature``; those of one empty text if there are no texts.

    Args:
        tokenizer: text to tokens.
        text: strings ``(b,)``, or none.
        token_ids: int32 ``(b, t)``, or none.

    Returns:
        int32 ``(b, None)``.
    """
    if text is not None:
        return tokenizer.encode_in_graph(with_stand_in(text))
    num_stand_ins = tf.cast(tf.shape(token_ids)[0] == 0, tf.int32)
    token_ids = tf.pad(token_ids, [[0, num_stand_ins], [0, 0]], constant_values=_NO_TOKEN)
    return tf.RaggedTensor.from_tensor(token_ids, padding=_NO_TOKEN)


def framed_tokens(tokens: tf.RaggedTensor, frame: Frame) -> Any:
    """Ragged tokens to int32 ``(b, t)``, cut, framed and padded as in training, with plain TensorFlow ops.

    Args:
        tokens: int32 ``(b, None)``.
        frame: the tokens before and after a text, and the largest number of tokens.
    """
    tokens = tokens[:, : frame.longest - frame.size]  # ragged (b, None)
    count = tokens.nrows()
    before = [] if frame.before is None else [tf.fill([count, 1], frame.before)]
    after = [] if frame.after is None else [tf.fill([count, 1], frame.after)]
    return tf.concat([*before, tokens, *after], 1).to_tensor(0)


def padded_tokens(tokenizer: Tokenizer, texts: Any, frame: Frame) -> Any:
    """Strings ``(b,)`` to int32 tokens ``(b, t)``, cut, framed and padded as in training, with plain TensorFlow ops.

    Args:
        tokenizer: text to tokens.
        texts: strings ``(b,)``.
        frame: the tokens before and after a text, and the largest number of tokens.
    """
    return framed_tokens(tokenizer.encode_in_graph(texts), frame)


def random_texts(tokenizer: Tokenizer, count: int, most: int, seed: int) -> np.ndarray:
    """Texts of random tokens, in UTF-8.

    Args:
        tokenizer: tokens to text.
        count: number of texts.
        most: the texts have fewer tokens than this.
        seed: decides them.
    """
    return np.array([tokenizer.decode(row).encode() for row in _random_tokens(tokenizer, count, most, seed)])


def random_inputs(tokenizer: Tokenizer, count: int, most: int, seed: int) -> dict[str, np.ndarray]:
    """Random inputs of ``text_signature``; the arguments are those of ``random_texts``."""
    if tokenizer.has_graph:
        return {"text": random_texts(tokenizer, count, most, seed)}
    rows = _random_tokens(tokenizer, count, most, seed)
    token_ids = np.full((count, most), _NO_TOKEN, np.int32)
    for padded, row in zip(token_ids, rows, strict=True):
        padded[: len(row)] = row
    return {"token_ids": token_ids}


def random_input(tokenizer: Tokenizer, length: int) -> dict[str, np.ndarray]:
    """The input of ``text_signature`` for one text of random tokens.

    Args:
        tokenizer: tokens to text.
        length: the number of tokens. Read again, a text may have a few more or fewer.
    """
    tokens = np.random.default_rng(length).integers(0, tokenizer.vocab_size, length)
    if tokenizer.has_graph:
        return {"text": np.array([tokenizer.decode(tokens).encode()])}
    return {"token_ids": tokens.astype(np.int32)[np.newaxis]}


def _random_tokens(tokenizer: Tokenizer, count: int, most: int, seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0, most, count)
    return [generator.integers(0, tokenizer.vocab_size, length) for length in lengths]
