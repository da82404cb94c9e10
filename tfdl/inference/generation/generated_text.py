"""What a generator returns."""

from dataclasses import dataclass
from typing import Literal

Finish = Literal["end", "stop", "length", "positions"]
"""Why a text ended: with the end token, before a stop string, at the number of tokens that was asked for, or at the
model's last position."""


@dataclass(frozen=True)
class GeneratedText:
    """A text that a model wrote."""

    prompt: str
    sample: int
    """The number of this text among those of its prompt, from 0."""
    text: str
    """What follows the prompt; for a translation, the translation."""
    tokens: tuple[int, ...]
    """The tokens that were written, without the end token."""
    log_probability: float
    """Of these tokens and the end token, by the model itself (not by the samplers), in nats."""
    finish: Finish
