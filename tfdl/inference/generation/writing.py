"""Writes the texts of a batch, one block of tokens after the other."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from tfdl.inference.generation.row import Row
from tfdl.inference.generation.slots import capacity_for, first_history, with_slots
from tfdl.inference.generation.steppers.stepper import Stepper, select_rows

OnText = Callable[[int, str], None]
"""Called with the number of a text, in the order of the results, and its next piece."""


class Decoder(Protocol):
    """What ``BlockDecoder`` is to ``write``."""

    end_id: int

    def __call__(
        self, tokens: Any, state: Any, slot: int, history: Any, uniforms: np.ndarray, /
    ) -> tuple[np.ndarray, np.ndarray, Any, Any]:
        """See ``BlockDecoder``."""


def write(rows: Sequence[Row], stepper: Stepper, decoder: Decoder, block_size: int, on_text: OnText) -> None:
    """Writes texts until all have finished.

    Args:
        rows: the texts.
        stepper: the model.
        decoder: of a block.
        block_size: most tokens of a block.
        on_text: called with the new pieces after each block.
    """
    rows = list(rows)
    state, tokens, slot = stepper.begin([row.prompt.tokens for row in rows])
    history = first_history([row.prompt for row in rows], slot, capacity_for(slot))
    while True:
        alive = [index for index, row in enumerate(rows) if row.finish is None]
        if not alive:
            return
        # No row has more positions than it has room for.
        size = min(block_size, *(rows[index].room for index in alive))
        if _should_leave(rows, len(alive), size):
            rows = [rows[index] for index in alive]
            tokens = tokens[alive]
            state, history = select_rows((state, history), alive)
        capacity = capacity_for(slot + size)
        state = stepper.with_capacity(state, capacity)
        history = with_slots(history, capacity)
        uniforms = np.stack([row.uniforms(size) for row in rows])
        written, scores, state, history = decoder(tokens, state, slot, history, uniforms)
        for row, new_tokens, new_scores in zip(rows, written, scores, strict=True):
            row.add(new_tokens, new_scores, decoder.end_id, partial(on_text, row.number))
        tokens = np.maximum(written[:, -1], 0)  # a row that has finished reads any token
        slot += size


def _should_leave(rows: Sequence[Row], num_alive: int, size: int) -> bool:
    """Whether rows that have finished leave the batch before a block of ``size`` tokens.

    A graph is traced for each number of rows, so they leave when half of the batch has finished, and before they reach
    a position that the model does not have.
    """
    have_room = all(row.room >= size for row in rows)
    return 2 * num_alive <= len(rows) or not have_room
