"""The slots of tokens: how many there are room for, and which token each of them has."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.inference.generation.prompts import Prompt
from tfdl.inference.generation.samplers.sampler import NO_TOKEN

_SMALLEST_CAPACITY = 64


def capacity_for(last_slot: int) -> int:
    """The number of slots to make room for: a power of two, so that there rarely is too little.

    Args:
        last_slot: the last slot that is needed.
    """
    return max(_SMALLEST_CAPACITY, 1 << last_slot.bit_length())


def first_history(prompts: Sequence[Prompt], last_slot: int, capacity: int) -> Any:
    """The tokens of prompts in their slots, int32 ``(b, capacity)``, with -1 in all others.

    Args:
        prompts: the prompt of each row.
        last_slot: the slot of their last tokens.
        capacity: number of slots.
    """
    history = np.full((len(prompts), capacity), NO_TOKEN, np.int32)
    for row, prompt in zip(history, prompts, strict=True):
        written = prompt.written
        row[last_slot + 1 - len(written) : last_slot + 1] = written
    return tf.constant(history)


def with_slots(history: Any, capacity: int) -> Any:
    """The history with more slots.

    Args:
        history: int32 ``(b, n)``.
        capacity: number of slots.
    """
    missing = capacity - history.shape[1]
    return tf.pad(history, [[0, 0], [0, missing]], constant_values=NO_TOKEN) if missing > 0 else history
