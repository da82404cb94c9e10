"""A text while it is written."""

from collections.abc import Callable, Sequence

import numpy as np

from tfdl.inference.generation.generated_text import Finish, GeneratedText
from tfdl.inference.generation.prompts import Prompt
from tfdl.inference.generation.samplers.sampler import NO_TOKEN
from tfdl.inference.generation.text_stream import TextStream


class Row:
    """One text while it is written.

    Args:
        number: the place of the text in the results.
        prompt: what it continues.
        sample: its number among the texts of its prompt.
        seed: of its random numbers. The k-th new token of a sample gets the same number, whatever else is generated.
        most_new: most tokens to write.
        at_most: why a text of so many tokens ends: ``"length"`` or ``"positions"``.
        stream: collects its text.
    """

    def __init__(
        self, number: int, prompt: Prompt, sample: int, seed: int, most_new: int, at_most: Finish, stream: TextStream
    ):
        self.number = number
        self.prompt = prompt
        self.sample = sample
        self.finish: Finish | None = None
        self._room = most_new
        self._at_most: Finish = at_most
        self._stream = stream
        self._log_probability = 0.0
        # A counter-based generator: its key is the seed and the sample, its counter the position of the token.
        self._random = np.random.Generator(np.random.Philox(key=[seed, sample]))

    @property
    def room(self) -> int:
        """How many more tokens the text may have. Those after its end count."""
        return self._room

    def uniforms(self, count: int) -> np.ndarray:
        """The random numbers of the next tokens, from 0 to below 1.

        Args:
            count: number of tokens.
        """
        return self._random.random(count)

    def add(
        self, tokens: np.ndarray, log_probabilities: np.ndarray, end_id: int, on_text: Callable[[str], None]
    ) -> None:
        """Adds a block of tokens. A text that has finished stays as it is.

        Args:
            tokens: int32 ``(n,)``, -1 after the end token.
            log_probabilities: of the tokens, ``(n,)``.
            end_id: the end token.
            on_text: called with each new piece of the text.
        """
        self._room -= len(tokens)
        if self.finish is not None:
            return
        new = tokens[tokens != NO_TOKEN]
        has_ended = bool(new.size) and int(new[-1]) == end_id
        visible: Sequence[int] = new[:-1].tolist() if has_ended else new.tolist()
        num_before = len(self._stream.tokens)
        _report(on_text, self._stream.add(visible))
        num_kept = len(self._stream.tokens) - num_before
        if self._stream.has_stopped:
            self.finish = "stop"
        elif has_ended:
            self.finish = "end"
            num_kept += 1
        elif self._room == 0:
            self.finish = self._at_most
        self._log_probability += float(log_probabilities[:num_kept].sum(dtype=np.float64))
        if self.finish is not None:
            _report(on_text, self._stream.finish())
            self.finish = "stop" if self._stream.has_stopped else self.finish

    def result(self) -> GeneratedText:
        """The finished text."""
        assert self.finish is not None
        tokens = tuple(self._stream.tokens)
        return GeneratedText(
            self.prompt.text, self.sample, self._stream.text, tokens, self._log_probability, self.finish
        )


def _report(on_text: Callable[[str], None], piece: str) -> None:
    if piece:
        on_text(piece)
