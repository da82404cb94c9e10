"""Prompts as tokens, and the checks of what a user asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfdl.data.tokenizers import Tokenizer
from tfdl.errors import UserError
from tfdl.inference.generation.generated_text import Finish
from tfdl.inference.generation.steppers.stepper import Stepper
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import TextTask
from tfdl.tasks.translation import Translation

_SHOWN = 40


@dataclass(frozen=True)
class Prompt:
    """A prompt, ready to be continued."""

    text: str
    tokens: np.ndarray
    """What the model reads, int32 ``(n,)``."""
    written: tuple[int, ...]
    """The tokens of the text itself, without the token that begins a text; empty for a source."""


def tokenized(text: str, task: TextTask, stepper: Stepper) -> Prompt:
    """The tokens of a prompt.

    A text begins as the texts of the corpus do, after the end of another one. A source ends with the end token.

    Args:
        text: the prompt.
        task: the model's task.
        stepper: of the model.

    Raises:
        UserError: a prompt without a token, or with more tokens than the model takes.
    """
    tokenizer: Tokenizer = task.tokenizer
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UserError(f"the prompt {text!r} is not UTF-8, expected a text in UTF-8")
    ids = tokenizer.encode(text)
    if not ids:
        raise UserError(f"the prompt {text!r} has no token, expected a text that the model can read")
    if isinstance(task, Translation):
        most = task.longest - 1
        _check_length(text, len(ids), most, "the source")
        return Prompt(text, np.array([*ids, tokenizer.end_id], np.int32), ())
    if stepper.longest is not None:
        _check_length(text, len(ids), stepper.longest - 1, "the prompt")
    begin_id = task.begin_id if isinstance(task, LanguageModeling) else tokenizer.end_id
    return Prompt(text, np.array([begin_id, *ids], np.int32), tuple(ids))


def _check_length(text: str, length: int, most: int, name: str) -> None:
    if length > most:
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
        raise UserError(
            f"{name} {shown!r} has {length} tokens, expected at most {most}, since the model has {most + 1} positions"
            " and one is taken; shorten it"
        )


def room_for(prompt: Prompt, max_new_tokens: int, stepper: Stepper) -> tuple[int, Finish]:
    """The most tokens of a text, and why it ends there.

    Args:
        prompt: what the text continues.
        max_new_tokens: most tokens that a user asked for.
        stepper: of the model.
    """
    if stepper.longest is None:
        return max_new_tokens, "length"
    length = len(prompt.tokens) if stepper.continues_prompt else 1
    room = stepper.longest - length + 1  # the last token that is written is not read
    return (room, "positions") if room < max_new_tokens else (max_new_tokens, "length")


def check_counts(max_new_tokens: int, num_samples: int, seed: int, stop: Sequence[str]) -> None:
    """Checks numbers that a user passed.

    Args:
        max_new_tokens: most tokens of a text.
        num_samples: texts for each prompt.
        seed: of the random numbers.
        stop: the stop strings.

    Raises:
        UserError: a number out of range, or an empty stop string.
    """
    if max_new_tokens < 1:
        raise UserError(f"max_new_tokens={max_new_tokens}, expected at least 1")
    if num_samples < 1:
        raise UserError(f"num_samples={num_samples}, expected at least 1")
    if not 0 <= seed < 2**64:
        raise UserError(f"seed={seed}, expected a number from 0 to below 2**64")
    if not all(stop):
        raise UserError("a stop string is empty, expected at least one character")
