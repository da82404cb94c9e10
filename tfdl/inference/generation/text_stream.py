"""Tokens to text as they come: whole characters, and nothing of a stop string."""

from collections.abc import Callable, Sequence

_INCOMPLETE = "\ufffd"


class TextStream:
    """The text of a row, which grows with its tokens.

    The text is decoded together with its prompt, since some tokenizers decode the first token of a text differently.
    Bytes of an unfinished character are held back until the character is whole. The end of the text is held back while
    it may be the beginning of a stop string.

    Args:
        decode: tokens to text.
        prompt: tokens of the prompt.
        stops: the text ends before the first of these strings that is complete.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], prompt: Sequence[int] = (), stops: Sequence[str] = ()):
        self._decode = decode
        self._tokens = list(prompt)
        self._prompt_length = len(self._tokens)
        self._begin = len(decode(self._tokens))
        self._stops = tuple(stops)
        self.text = ""
        """The text that is certain."""
        self.has_stopped = False

    @property
    def tokens(self) -> list[int]:
        """The tokens without the prompt's."""
        return self._tokens[self._prompt_length :]

    def add(self, tokens: Sequence[int]) -> str:
        """Adds tokens, and returns what is new of the text.

        If the text stops, the tokens after the one that completed the stop string are dropped.

        Args:
            tokens: the next tokens.
        """
        before = self._tokens
        self._tokens = [*before, *tokens]
        text = self._decoded().rstrip(_INCOMPLETE)
        end = self._stop_in(text)
        if end is None:
            return self._release(text[: len(text) - self._held_back(text)])
        self.has_stopped = True
        for token in tokens:
            before = [*before, token]
            self._tokens = before
            if self._stop_in(self._decoded().rstrip(_INCOMPLETE)) is not None:
                break
        return self._release(text[:end])

    def finish(self) -> str:
        """Returns what was held back, after the last token."""
        if self.has_stopped:
            return ""
        text = self._decoded()
        end = self._stop_in(text)
        self.has_stopped = end is not None
        return self._release(text[:end])

    def _decoded(self) -> str:
        return self._decode(self._tokens)[self._begin :]

    def _release(self, text: str) -> str:
        new = text[len(self.text) :]
        self.text += new
        return new

    def _stop_in(self, text: str) -> int | None:
        """Where the stop string begins that is complete first, however the text comes in pieces."""
        places = [(text.find(stop), len(stop)) for stop in self._stops]
        ends_and_begins = [(begin + length, begin) for begin, length in places if begin >= 0]
        return min(ends_and_begins)[1] if ends_and_begins else None

    def _held_back(self, text: str) -> int:
        """How many characters at the end may belong to a stop string."""
        longest = 0
        for stop in self._stops:
            for length in range(min(len(stop) - 1, len(text)), longest, -1):
                if text.endswith(stop[:length]):
                    longest = length
                    break
        return longest
