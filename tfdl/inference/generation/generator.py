"""Writes texts with a trained model."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config.samplers import SamplerConfig, choose_samplers
from tfdl.inference.generation.block_decoder import BlockDecoder
from tfdl.inference.generation.generated_text import Finish, GeneratedText
from tfdl.inference.generation.prompts import Prompt, check_counts, tokenized
from tfdl.inference.generation.row import Row
from tfdl.inference.generation.samplers.chain import SamplerChain
from tfdl.inference.generation.samplers.sampler import NO_TOKEN
from tfdl.inference.generation.steppers.choice import stepper_for
from tfdl.inference.generation.steppers.stepper import select_rows
from tfdl.inference.generation.text_stream import TextStream
from tfdl.tasks.task import Task, TextTask

OnText = Callable[[int, str], None]
"""Called with the number of a text, in the order of the results, and its next piece."""

_SMALLEST_CAPACITY = 64


class Generator:
    """Writes texts with a language model, or translations with an encoder-decoder.

    Tokens are decoded in blocks, each by one call of a compiled graph. The keys and values of the tokens before, or the
    state of a recurrent model, pass from one call to the next. A text depends neither on the size of a block nor on the
    other texts of its batch.

    Args:
        model: the trained model.
        task: its task, for instance of ``tfdl.runs.load_run``.
        batch_size: most texts that are written at the same time.
        block_size: most tokens of a block. Between blocks, texts are reported and stop strings are found.

    Raises:
        UserError: the task writes no texts.
    """

    def __init__(self, model: Any, task: Task, *, batch_size: int = 8, block_size: int = 32):
        self._stepper = stepper_for(model, task)
        assert isinstance(task, TextTask)
        self._task = task
        self._end_id = task.tokenizer.end_id
        self._batch_size = batch_size
        self._block_size = block_size
        self._decoder: tuple[tuple[SamplerConfig, ...], BlockDecoder] | None = None

    @property
    def continues_prompts(self) -> bool:
        """Whether texts continue their prompts, rather than translate them."""
        return self._stepper.continues_prompt

    def prompt(self, text: str) -> Prompt:
        """Tokenizes and checks a prompt.

        Args:
            text: the prompt.

        Raises:
            UserError: an empty prompt, or one that is too long for the model.
        """
        return tokenized(text, self._task, self._stepper)

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int = 100,
        samplers: Any = (),
        stop: Sequence[str] = (),
        seed: int = 0,
        num_samples: int = 1,
        on_text: OnText | None = None,
    ) -> list[GeneratedText]:
        """Writes texts.

        Args:
            prompts: texts to continue; for an encoder-decoder, texts to translate.
            max_new_tokens: most tokens of a text.
            samplers: names, mappings of ``name`` and fields, or configurations of samplers, in the order in which they
                act: ``["top_k", {"name": "random", "temperature": 0.8}]``. Without one that draws at random, each token
                is the most likely one.
            stop: a text ends before the first of these strings.
            seed: of the random numbers. A prompt gets the same texts for the same seed.
            num_samples: texts for each prompt.
            on_text: called with the pieces of the texts as they are written.

        Returns:
            ``num_samples`` texts for each prompt, in the prompts' order.

        Raises:
            UserError: a prompt, a sampler or a number that cannot be used.
        """
        asked = {"max_new_tokens": max_new_tokens, "samplers": samplers, "stop": stop, "seed": seed}
        return list(self.stream(prompts, num_samples=num_samples, on_text=on_text, **asked))

    def stream(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int = 100,
        samplers: Any = (),
        stop: Sequence[str] = (),
        seed: int = 0,
        num_samples: int = 1,
        on_text: OnText | None = None,
    ) -> Iterator[GeneratedText]:
        """As ``generate``, and yields the texts of a batch when the batch is done. The arguments are the same."""
        check_counts(max_new_tokens, num_samples, seed, stop)
        decoder = self._decoder_of(choose_samplers(samplers))
        rows: list[Row] = []
        for prompt in [self.prompt(text) for text in prompts]:
            for sample in range(num_samples):
                rows.append(self._row(len(rows), prompt, sample, seed, max_new_tokens, stop))
        for first in range(0, len(rows), self._batch_size):
            batch = rows[first : first + self._batch_size]
            self._write(batch, decoder, on_text or _ignore)
            for row in batch:
                yield row.result()

    def _decoder_of(self, samplers: tuple[SamplerConfig, ...]) -> BlockDecoder:
        """The decoder of a chain of samplers; the last one is kept, with its graph."""
        if self._decoder is None or self._decoder[0] != samplers:
            self._decoder = samplers, BlockDecoder(self._stepper, SamplerChain(samplers), self._end_id)
        return self._decoder[1]

    def _row(
        self, number: int, prompt: Prompt, sample: int, seed: int, max_new_tokens: int, stop: Sequence[str]
    ) -> Row:
        most_new = max_new_tokens
        at_most: Finish = "length"
        if self._stepper.longest is not None:
            length = len(prompt.tokens) if self._stepper.continues_prompt else 1
            room = self._stepper.longest - length + 1  # the last token that is written is not read
            if room < max_new_tokens:
                most_new = room
                at_most = "positions"
        stream = TextStream(self._task.tokenizer.decode, prompt.written, stop)
        return Row(number, prompt, sample, seed, most_new, at_most, stream)

    def _write(self, rows: list[Row], decoder: BlockDecoder, on_text: OnText) -> None:
        """Writes the texts of a batch. Rows that have ended leave it."""
        prompts = [row.prompt.tokens for row in rows]
        first_slot = max(map(len, prompts)) - 1 if self._stepper.continues_prompt else 0
        capacity = _capacity(first_slot + self._block_size)
        state, tokens, slot = self._stepper.begin(prompts, capacity)
        history = self._first_history(rows, slot, capacity)
        while rows:
            size = min(self._block_size, *(row.room for row in rows))
            capacity = _capacity(slot + size)
            state = self._stepper.with_capacity(state, capacity)
            history = _with_columns(history, capacity)
            uniforms = np.stack([row.uniforms(size) for row in rows])
            written, scores, state, history = decoder(tokens, state, slot, history, uniforms)
            for row, new_tokens, new_scores in zip(rows, written, scores, strict=True):
                row.add(new_tokens, new_scores, self._end_id, partial(on_text, row.number))
            kept = np.array([index for index, row in enumerate(rows) if row.finish is None], np.int32)
            tokens = written[kept, -1]
            slot += size
            if len(kept) < len(rows):
                rows = [rows[index] for index in kept]
                state = select_rows(state, kept)
                history = tf.gather(history, kept)

    def _first_history(self, rows: Sequence[Row], slot: int, capacity: int) -> Any:
        """The tokens of the prompts in their slots, int32 (b, capacity)."""
        history = np.full((len(rows), capacity), NO_TOKEN, np.int32)
        for values, row in zip(history, rows, strict=True):
            written = row.prompt.written
            values[slot + 1 - len(written) : slot + 1] = written
        return tf.constant(history)


def _capacity(last_slot: int) -> int:
    """Slots for ``last_slot`` and those before: a power of two, so that the cache rarely grows."""
    return max(_SMALLEST_CAPACITY, 1 << last_slot.bit_length())


def _with_columns(history: Any, capacity: int) -> Any:
    missing = capacity - history.shape[1]
    return tf.pad(history, [[0, 0], [0, missing]], constant_values=NO_TOKEN) if missing > 0 else history


def _ignore(number: int, piece: str) -> None:
    pass
