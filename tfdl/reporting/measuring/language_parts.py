"""What a report shows of a language model: how well guessing does, and texts that it writes."""

import hashlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.errors import UserError
from tfdl.inference.generation import Generator
from tfdl.inference.generation.beginnings import beginnings
from tfdl.reporting.clean_text import shortened
from tfdl.reporting.measuring.measured import Guess, Sample, Texts
from tfdl.tasks.language_modeling import LanguageModeling

_NUM_PROMPTS = 4
_MOST_PROMPT_TOKENS = 48
_MOST_NEW_TOKENS = 64
_TEMPERATURE = 0.8
_SEED = 0
_LONGEST_TEXT = 400


def unigram_guess(source: Any, vocab_size: int, batch_size: int) -> tuple[Guess, str]:
    r"""The perplexity of the best answer that does not look at the tokens before, and a digest of the tokens.

    The perplexity is $e^H$, with $H = -\sum_v p_v \ln p_v$ and $p_v$ the share of token $v$ among the split's targets.

    Args:
        source: windows of a corpus.
        vocab_size: number of different tokens.
        batch_size: windows that are read together.

    Returns:
        The guess, and the SHA-256 of the targets of each window.
    """
    counts = np.zeros(vocab_size, np.int64)
    digest = hashlib.sha256()
    for tokens, lengths in _targets(source, batch_size):
        counts += np.bincount(tokens, minlength=vocab_size)
        for column in (lengths, tokens):
            digest.update(np.ascontiguousarray(column, np.int64).tobytes())
    shares = counts[counts > 0] / counts.sum()
    entropy = -float(np.sum(shares * np.log(shares)))
    guess = Guess("perplexity", math.exp(entropy), "guessing each token by how often it occurs in the split")
    return guess, digest.hexdigest()


def _targets(source: Any, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The tokens that a model predicts, of all windows of a batch one after the other, and the number of each window's
    tokens."""
    for numbers in source.evaluation_pieces(batch_size, None):
        batch = source.read(tf.constant(numbers))
        targets = np.asarray(batch["tokens"])[:, 1:]
        lengths = np.asarray(batch["count"])
        is_token = np.arange(targets.shape[1]) < lengths[:, np.newaxis]
        yield targets[is_token], lengths


def generated_texts(model: Any, task: LanguageModeling, source: Any) -> Texts | None:
    """Texts that continue beginnings of windows of the split.

    Args:
        model: the language model.
        task: its task.
        source: windows of a corpus.

    Returns:
        The texts; None if no window is long enough, or the model does not write.
    """
    begun = beginnings(task, source, _NUM_PROMPTS, _MOST_PROMPT_TOKENS)
    if not begun:
        return None
    sampler = {"name": "random", "temperature": _TEMPERATURE}
    samples = []
    try:
        generator = Generator(model, task)
        for seed, piece in enumerate(begun, _SEED):
            # With one seed for all prompts, all texts would be drawn with the same random numbers.
            (text,) = generator.generate(piece.prompt, max_new_tokens=_MOST_NEW_TOKENS, samplers=[sampler], seed=seed)
            given = piece.prompt if piece.begins_text else f"…{piece.prompt}"
            expected = _cut(piece.rest, is_whole=piece.ends_text)
            samples.append(Sample(given, expected, _cut(text.text, is_whole=text.finish == "end")))
    except UserError:
        return None  # a model of the user that gives scores alone
    return Texts(
        kind="generated",
        samples=tuple(samples),
        num_written=len(samples),
        num_distinct=len({sample.written for sample in samples}),
        num_distinct_expected=len({sample.expected for sample in samples}),
        note=f"Drawn at temperature {_TEMPERATURE} with seeds from {_SEED}, at most {_MOST_NEW_TOKENS} tokens.",
    )


def _cut(text: str, *, is_whole: bool) -> str:
    """A text with an ellipsis where something is missing. Pieces end anywhere, also within a word."""
    short = shortened(text, _LONGEST_TEXT)
    return short if is_whole or short != text else f"{text}…"
