"""Writes the likeliest texts of a batch of prompts, by beam search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.inference.generation.beam_decoder import BeamDecoder
from tfdl.inference.generation.generated_text import Finish, GeneratedText
from tfdl.inference.generation.prompts import Prompt
from tfdl.inference.generation.samplers.sampler import NO_TOKEN
from tfdl.inference.generation.slots import capacity_for, first_history, with_slots
from tfdl.inference.generation.steppers.stepper import Stepper, select_rows
from tfdl.tasks.beam_search import Beams, finished, first_beams, is_over

TextOf = Callable[[Prompt, Sequence[int]], str]
"""The text of tokens that follow a prompt."""


@dataclass(frozen=True)
class Search:
    """What is searched for one prompt."""

    prompt: Prompt
    room: int
    """Most tokens of a text."""
    at_most: Finish
    """Why a text of so many tokens ends."""


def search_texts(
    searches: Sequence[Search],
    stepper: Stepper,
    decoder: BeamDecoder,
    block_size: int,
    num_texts: int,
    text_of: TextOf,
    end_id: int,
) -> list[list[GeneratedText]]:
    """Searches texts for each prompt.

    Args:
        searches: the prompts.
        stepper: the model.
        decoder: of a block.
        block_size: most tokens of a block.
        num_texts: texts for each prompt, at most as many as beams.
        text_of: makes a text of tokens.
        end_id: the end token.

    Returns:
        For each prompt its texts, the best one first.
    """
    results: list[list[GeneratedText]] = [[] for _ in searches]
    is_done = np.zeros(len(searches), bool)
    numbers = np.arange(len(searches))  # the searches of the batch
    rooms = np.array([search.room for search in searches])
    state, tokens, slot = stepper.begin([search.prompt.tokens for search in searches])
    history = first_history([search.prompt for search in searches], slot, capacity_for(slot))
    rows = np.repeat(numbers, decoder.num_beams)
    tokens, state, history = select_rows((tokens, state, history), rows)
    beams = first_beams(len(searches), decoder.num_beams, rooms.max())
    length = 0
    while True:
        is_open = ~is_done[numbers]
        if not is_open.any():
            return results
        size = min(block_size, int((rooms[numbers] - length)[is_open].min()))
        # As in ``writing.py``: the batch becomes smaller when half of it is done, or has no room.
        if 2 * is_open.sum() <= len(numbers) or (rooms[numbers] - length).min() < size:
            kept = np.flatnonzero(is_open)
            numbers = numbers[kept]
            rows = (kept[:, np.newaxis] * decoder.num_beams + np.arange(decoder.num_beams)).reshape(-1)
            tokens, state, history = select_rows((tokens, state, history), rows)
            beams = Beams(*(tf.gather(part, kept) for part in beams))
        capacity = capacity_for(slot + size)
        state = stepper.with_capacity(state, capacity)
        history = with_slots(history, capacity)
        tokens, state, history, beams = decoder(tokens, state, slot, history, beams, length, size)
        length += size
        slot += size
        ends = is_over(beams).numpy() | (rooms[numbers] == length)
        ended = finished(beams, length, decoder.exponent)
        for place, number in enumerate(numbers.tolist()):
            if ends[place] and not is_done[number]:
                is_done[number] = True
                results[number] = _texts(searches[number], ended, place, num_texts, text_of, end_id)


def _texts(
    search: Search, beams: Beams, index: int, num_texts: int, text_of: TextOf, end_id: int
) -> list[GeneratedText]:
    """The best texts of one search. There are fewer than asked for if the vocabulary has no more."""
    texts: list[GeneratedText] = []
    scores = beams.ended_scores[index].numpy()
    for place in range(num_texts):
        if scores[place] == -np.inf:
            break
        tokens: Any = beams.ended_tokens[index, place].numpy()
        tokens = tokens[tokens != NO_TOKEN].tolist()
        finish: Finish = search.at_most
        if tokens[-1] == end_id:
            finish = "end"
            tokens = tokens[:-1]
        log_probability = float(beams.ended_log_probabilities[index, place])
        text = text_of(search.prompt, tokens)
        texts.append(GeneratedText(search.prompt.text, place, text, tuple(tokens), log_probability, finish))
    return texts
