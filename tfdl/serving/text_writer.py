"""Writes texts of a run piece by piece, for several clients at the same time."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfdl.errors import UserError
from tfdl.inference.generation.block_decoder import BlockDecoder
from tfdl.inference.generation.generated_text import GeneratedText
from tfdl.inference.generation.prompts import check_counts, room_for, tokenized
from tfdl.inference.generation.row import Row
from tfdl.inference.generation.served_sampling import ServedChain
from tfdl.inference.generation.steppers.choice import stepper_for
from tfdl.inference.generation.text_stream import TextStream
from tfdl.inference.generation.writing import write
from tfdl.tasks.task import TextTask

# Tokens between two pieces. More would be faster, and come less often.
_BLOCK = 4


@dataclass(frozen=True)
class TextSettings:
    """How a text is written. The samplers act in the order of ``tfdl generate``: temperature, top-k, top-p."""

    max_new_tokens: int = 100
    """Most tokens to write."""
    temperature: float = 0.0
    """0 takes the most likely tokens."""
    top_k: int = 0
    """Number of tokens to draw from; 0 stands for all."""
    top_p: float = 1.0
    """Probability of the tokens to draw from; 1 stands for all."""
    seed: int = 0
    """Of the random numbers."""
    stop: tuple[str, ...] = ()
    """The text ends before the first of these strings."""


class StoppedWriting(Exception):  # noqa: N818  (nothing went wrong)
    """Nobody waits for the text."""


class TextWriter:
    """Writes the texts of a language model, or translations.

    Its methods may be called by several threads at a time. Graphs are traced once: settings are inputs of the graph.

    Args:
        model: the model of a run.
        task: its task.
    """

    def __init__(self, model: Any, task: TextTask):
        self._task = task
        self._stepper = stepper_for(model, task)
        self._decoder = BlockDecoder(self._stepper, ServedChain(), task.tokenizer.end_id)

    @property
    def continues_prompts(self) -> bool:
        """Whether texts continue their prompts, rather than translate them."""
        return self._stepper.continues_prompt

    def write(
        self,
        text: str,
        settings: TextSettings,
        on_piece: Callable[[str], None],
        is_wanted: Callable[[], bool],
    ) -> GeneratedText:
        """Writes one text.

        Args:
            text: the text to continue, or to translate.
            settings: how.
            on_piece: called with each new piece.
            is_wanted: asked before each block of tokens whether to write it.

        Raises:
            UserError: a text that is empty or too long for the model, or settings out of range.
            StoppedWriting: nobody wants the rest.
        """
        check_counts(settings.max_new_tokens, 1, settings.seed, settings.stop)
        _check_samplers(settings)
        prompt = tokenized(text, self._task, self._stepper)
        room, at_most = room_for(prompt, settings.max_new_tokens, self._stepper)
        stream = TextStream(self._task.tokenizer.decode, prompt.written, settings.stop)
        row = Row(0, prompt, 0, settings.seed, room, at_most, stream)
        decoder = _StoppableDecoder(self._decoder, settings, is_wanted)
        write([row], self._stepper, decoder, _BLOCK, lambda _, piece: on_piece(piece))
        return row.result()


class _StoppableDecoder:
    """Decodes blocks with the settings of one text, as long as somebody wants it.

    Args:
        decoder: of all texts.
        settings: of this text.
        is_wanted: as for ``TextWriter.write``.
    """

    def __init__(self, decoder: BlockDecoder, settings: TextSettings, is_wanted: Callable[[], bool]):
        self.end_id = decoder.end_id
        self._decoder = decoder
        self._settings = (
            tf.constant(settings.temperature, tf.float32),
            tf.constant(settings.top_k, tf.int32),
            tf.constant(settings.top_p, tf.float64),
        )
        self._is_wanted = is_wanted

    def __call__(self, tokens: Any, state: Any, slot: int, history: Any, uniforms: Any, /) -> Any:
        """See ``BlockDecoder``."""
        if not self._is_wanted():
            raise StoppedWriting
        return self._decoder(tokens, state, slot, history, uniforms, self._settings)


def _check_samplers(settings: TextSettings) -> None:
    """Raises ``UserError`` for a setting out of range."""
    if not 0 <= settings.temperature < math.inf:
        raise UserError(
            f"temperature={settings.temperature}, expected 0 (the most likely tokens) or a finite positive number"
        )
    if not 0 <= settings.top_k < 2**31:
        raise UserError(f"top_k={settings.top_k}, expected 0 (all tokens) or more")
    if not 0 < settings.top_p <= 1:
        raise UserError(f"top_p={settings.top_p}, expected above 0 and at most 1")
