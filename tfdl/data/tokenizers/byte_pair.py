"""Byte-level byte-pair encoding, however its merges were learned."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Self

import numpy as np
from tokenizers.models import BPE

from tfdl.data.tokenizers.base import Tokenizer, clean
from tfdl.data.tokenizers.byte_pair_graph import BytePairGraph
from tfdl.data.tokenizers.pretokens import split_words

# Words whose ids are remembered, each of a few hundred bytes.
_REMEMBERED = 200_000


def _letters_of_bytes() -> list[str]:
    """The character that stands for each byte in Hugging Face's files: itself if it can be seen, else U+0100 and up."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(value) if value in seen else chr(next(others)) for value in range(256)]


BYTE_LETTERS = _letters_of_bytes()
_TO_LETTERS = dict(enumerate(BYTE_LETTERS))
_TO_BYTES = {letter: value for value, letter in enumerate(BYTE_LETTERS)}


class BytePairTokenizer(Tokenizer):
    """Words become bytes; of all neighbours, those whose merge was learned first are merged, until no merge is left.

    Every text comes back exactly. Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016;
    over bytes: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.

    Args:
        vocabulary: tokens by id, written in ``BYTE_LETTERS``; those that cannot be read so stand for no bytes.
        merges: pairs of tokens, in the order in which they were learned.

    Raises:
        ValueError: a byte has no token, or a merge is of or to something that is no token.
    """

    def __init__(self, vocabulary: Sequence[str], merges: Sequence[tuple[str, str]]) -> None:
        self._vocabulary, self._merges = list(vocabulary), list(merges)
        self.vocab_size = len(self._vocabulary)
        ids = {token: place for place, token in enumerate(self._vocabulary)}
        parts = {*BYTE_LETTERS, *chain.from_iterable(self._merges), *map("".join, self._merges)}
        if missing := sorted(parts - ids.keys()):
            raise ValueError(f"{len(missing)} bytes or merges are no tokens of the vocabulary, such as {missing[0]!r}")
        self._ids = ids
        self._bytes = [bytes(_TO_BYTES.get(letter, 0) for letter in token) for token in self._vocabulary]
        self._words = _WordIds(BPE(ids, self._merges))

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        if len(self._words) > _REMEMBERED:
            self._words.clear()
        words = (map(self._words.__getitem__, split_words(clean(text))) for text in texts)
        return [np.fromiter(chain.from_iterable(ids), np.int32) for ids in words]

    def text_of(self, ids: np.ndarray) -> str:
        return b"".join([self._bytes[place] for place in ids.tolist()]).decode("utf-8", "replace")

    def build_graph(self) -> BytePairGraph:
        merges = [(self._ids[a], self._ids[b], self._ids[a + b]) for a, b in self._merges]
        bytes_to_ids = [self._ids[letter] for letter in BYTE_LETTERS]
        return BytePairGraph(np.array(merges, np.int64).reshape(-1, 3), bytes_to_ids, self._bytes)

    def content(self) -> dict[str, Any]:
        return {"vocabulary": self._vocabulary, "merges": [" ".join(pair) for pair in self._merges]}

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        return cls(content["vocabulary"], [tuple(pair.split(" ")) for pair in content["merges"]])


class _WordIds(dict[str, tuple[int, ...]]):
    """A word's ids; the merging is done when a word is seen first."""

    def __init__(self, model: BPE) -> None:
        super().__init__()
        self._model = model

    def __missing__(self, word: str) -> tuple[int, ...]:
        letters = word.encode().decode("latin-1").translate(_TO_LETTERS)
        ids = self[word] = tuple(token.id for token in self._model.tokenize(letters))
        return ids
