"""Beginnings of a corpus's texts, as prompts whose continuation is known."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.tasks.language_modeling import LanguageModeling


@dataclass(frozen=True)
class Beginning:
    """A part of a corpus, cut in two."""

    prompt: str
    rest: str
    begins_text: bool
    """Whether a text of the corpus begins with the prompt."""
    ends_text: bool
    """Whether a text of the corpus ends with the rest."""


def beginnings(task: LanguageModeling, source: Any, count: int, most_tokens: int) -> list[Beginning]:
    """Beginnings of windows that are evenly spread over a split.

    Args:
        task: of the language model.
        source: windows of a corpus.
        count: of the windows.
        most_tokens: of a prompt; a window with fewer than twice as many is cut in the middle.

    Returns:
        At most ``count``: windows without a text are left out.
    """
    count = min(count, source.num_examples)
    numbers = [number * source.num_examples // count for number in range(count)]
    found = [_beginning(task, source, number, most_tokens) for number in numbers]
    return [beginning for beginning in found if beginning is not None]


def _beginning(task: LanguageModeling, source: Any, number: int, most_tokens: int) -> Beginning | None:
    """The beginning of a window, and how it goes on; None for a window that is too short."""
    batch = source.read(tf.constant([number], tf.int64))
    count = int(batch["count"][0])
    tokens = np.asarray(batch["tokens"])[0, 1 : count + 1]
    # What follows another text's end is the beginning of a new one.
    parts = np.split(tokens, np.flatnonzero(tokens == task.tokenizer.end_id))
    chosen = max(range(len(parts)), key=lambda part: len(parts[part]))
    tokens = parts[chosen][parts[chosen] != task.tokenizer.end_id]
    num_prompt = min(most_tokens, len(tokens) // 2)
    prompt = task.tokenizer.decode(tokens[:num_prompt])
    if not prompt.strip():
        return None
    rest = task.tokenizer.decode(tokens[num_prompt:])
    return Beginning(prompt, rest, begins_text=number == 0 or chosen > 0, ends_text=chosen < len(parts) - 1)
