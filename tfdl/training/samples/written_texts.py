"""Samples of language models: texts that they write."""

import time
from typing import Any

from tfdl.errors import UserError
from tfdl.inference.generation import Generator
from tfdl.inference.generation.beginnings import Beginning, beginnings
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import Rows
from tfdl.training.samples.sample_text import SampleText
from tfdl.training.samples.validation_samples import Shown, ValidationSamples

_NUM_TEXTS = 4
_MOST_PROMPT_TOKENS = 48
_MOST_NEW_TOKENS = 48
# Tokens after which the clock is looked at.
_BLOCK = 16
_TEMPERATURE = 0.8
# The longest time for texts of one validation. One block more may be written.
_MOST_SECONDS = 10.0


class WrittenTexts(ValidationSamples):
    """Texts that a language model writes after beginnings of the validation split.

    They are drawn with the same random numbers each time, which depend on the seed, the sample and the position alone.

    Args:
        model: the language model, whose present weights write.
        task: its task.
        source: windows of the corpus.
    """

    costs_time = True

    def __init__(self, model: Any, task: LanguageModeling, source: Any):
        self._model = model
        self._task = task
        self._source = source
        self._begun: list[Beginning] | None = None
        self._generator: Generator | None = None  # keeps its graph

    def of(self, rows: Rows) -> Shown:  # noqa: ARG002
        """See ``ValidationSamples.of``. Nothing is shown of a model that gives scores alone."""
        if self._begun is None:
            self._begun = beginnings(self._task, self._source, _NUM_TEXTS, _MOST_PROMPT_TOKENS)
        deadline = time.monotonic() + _MOST_SECONDS
        samples = []
        for seed, begun in enumerate(self._begun):
            try:
                written = self._written(begun.prompt, seed, deadline)
            except UserError:
                return Shown()
            samples.append(SampleText({"given": begun.prompt, "written": written, "in the data": begun.rest}))
            if time.monotonic() > deadline:
                break
        return Shown(samples)

    def _written(self, prompt: str, seed: int, deadline: float) -> str:
        """A text, as long as the time allows."""
        if self._generator is None:
            self._generator = Generator(self._model, self._task, batch_size=1, block_size=_BLOCK)
        pieces: list[str] = []

        def take(number: int, piece: str) -> None:  # noqa: ARG001
            pieces.append(piece)
            if time.monotonic() > deadline:
                raise _TimeIsUpError

        sampler = {"name": "random", "temperature": _TEMPERATURE}
        try:
            # One prompt at a time: several would be continued with the same random numbers.
            for _ in self._generator.stream(
                prompt, max_new_tokens=_MOST_NEW_TOKENS, samplers=[sampler], seed=seed, on_text=take
            ):
                pass
        except _TimeIsUpError:
            pieces.append("…")
        return "".join(pieces)


class _TimeIsUpError(Exception):
    """Ends a text."""
