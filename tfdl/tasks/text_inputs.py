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


def padded_tokens(tokenizer: Tokenizer, texts: Any, frame: Frame) -> Any:
    """Strings ``(b,)`` to int32 tokens ``(b, t)``, cut, framed and padded as in training, with plain TensorFlow ops.

    Args:
        tokenizer: text to tokens.
        texts: strings ``(b,)``.
        frame: the tokens before and after a text, and the largest number of tokens.
    """
    tokens = tokenizer.encode_in_graph(texts)[:, : frame.longest - frame.size]  # ragged (b, None)
    count = tf.shape(texts)[0]
    before = [] if frame.before is None else [tf.fill([count, 1], frame.before)]
    after = [] if frame.after is None else [tf.fill([count, 1], frame.after)]
    return tf.concat([*before, tokens, *after], 1).to_tensor(0)


def random_texts(tokenizer: Tokenizer, count: int, most: int, seed: int) -> np.ndarray:
    """Texts of random tokens, in UTF-8.

    Args:
        tokenizer: tokens to text.
        count: number of texts.
        most: the texts have fewer tokens than this.
        seed: decides them.
    """
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0, most, count)
    tokens = [generator.integers(0, tokenizer.vocab_size, length) for length in lengths]
    return np.array([tokenizer.decode(row).encode() for row in tokens])
