"""Texts as models read them: how long they may be, and the way there inside a served graph."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import TrainConfig
from tfdl.data.tokenizers import Tokenizer
from tfdl.data.tokens.source import Frame
from tfdl.errors import UserError

# Of classifiers without positions (BERT reads as many).
_LONGEST = 512


def longest_text(config: TrainConfig, otherwise: int = _LONGEST) -> int:
    """Most tokens that a model reads at a time: the configured number, or the model's positions, or else ``otherwise``.

    Raises:
        UserError: more than the model can tell apart.
    """
    own = getattr(config.model, "sequence_length", None)
    longest = config.dataset.sequence_length or own or otherwise
    if own is not None and longest > own and config.model.positions == "learned":  # type: ignore[attr-defined]
        raise UserError(
            f"dataset.sequence_length={longest}, but the model {config.model.label!r} has {own} learned positions;"
            f" expected at most {own}, or --set model.sequence_length={longest}"
        )
    return int(longest)


def framed_length(config: TrainConfig) -> int:
    """``longest_text`` of texts that are marked by a token at their start or end.

    Raises:
        UserError: as there, or too few tokens to hold anything.
    """
    longest = longest_text(config)
    if longest < 2:
        raise UserError(
            f"dataset.sequence_length={longest}, expected at least 2: one token marks a text's start or end"
        )
    return longest


def cut_note(sources: Mapping[str, Any], longest: int) -> tuple[str, ...]:
    """How many samples are cut, for whoever starts the run; nothing where none is."""
    counts = [f"{source.num_cut:,} of {source.num_examples:,} in {split}" for split, source in sources.items()]
    if not any(source.num_cut for source in sources.values()):
        return ()
    return (f"texts of more than {longest} tokens are cut: {', '.join(counts)} (--sequence-length)",)


def with_stand_in(texts: Any) -> Any:
    """Strings ``(b,)``, with an empty text where there is none: not every kernel takes an empty batch."""
    return tf.concat([texts, tf.fill([tf.cast(tf.shape(texts)[0] == 0, tf.int32)], "")], 0)


def padded_tokens(tokenizer: Tokenizer, texts: Any, frame: Frame) -> Any:
    """Strings ``(b,)`` to int32 tokens ``(b, t)``, cut, framed and padded as in training, with plain TensorFlow ops."""
    tokens = tokenizer.encode_in_graph(texts)[:, : frame.longest - frame.size]
    count = tf.shape(texts)[0]
    before = [] if frame.before is None else [tf.fill([count, 1], frame.before)]
    after = [] if frame.after is None else [tf.fill([count, 1], frame.after)]
    return tf.concat([*before, tokens, *after], 1).to_tensor(0)


def random_texts(tokenizer: Tokenizer, count: int, most: int, seed: int) -> np.ndarray:
    """Texts of random tokens, from none to ``most`` of them, in UTF-8."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0, most, count)
    tokens = [generator.integers(0, tokenizer.vocab_size, length) for length in lengths]
    return np.array([tokenizer.decode(row).encode() for row in tokens])
