"""Byte-level byte-pair encoding with given merges, which subclasses learn or read."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Self

import numpy as np
from tokenizers.models import BPE

from tfdl.data.tokenizers.base import Tokenizer, clean
from tfdl.data.tokenizers.byte_pair_graph import NO_TOKEN, BytePairGraph
from tfdl.data.tokenizers.pretokens import split_words

# Words whose ids are remembered; each takes a few hundred bytes of memory.
_REMEMBERED = 200_000


def _letters_of_bytes() -> list[str]:
    """The character that stands for each byte in Hugging Face's files.

    A byte of a visible Latin-1 character is that character. All other bytes are the characters from U+0100 on.
    """
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(value) if value in visible else chr(next(others)) for value in range(256)]


BYTE_LETTERS = _letters_of_bytes()
_TO_LETTERS = dict(enumerate(BYTE_LETTERS))
_TO_BYTES = {letter: value for value, letter in enumerate(BYTE_LETTERS)}


class BytePairTokenizer(Tokenizer):
    """A word's bytes are merged to tokens: always the pair of neighbours whose merge was learned first, until none is
    left.

    Every text is decoded exactly, unless the vocabulary lacks a byte, which is then left out. Sennrich et al., "Neural
    Machine Translation of Rare Words with Subword Units", 2016; over bytes: Radford et al., "Language Models are
    Unsupervised Multitask Learners", 2019.

    Args:
        vocabulary: tokens by id, written in ``BYTE_LETTERS``. Special tokens may have other letters.
        merges: pairs of tokens, in the order in which they were learned.
        digits_alone: whether each digit is a word, so that no token has two digits.
        may_lack_bytes: whether the vocabulary may lack bytes, as SmolLM2's lacks some that are rare in UTF-8.

    Raises:
        ValueError: a byte that is needed, a part of a merge, or the result of a merge is not in the vocabulary.
    """

    reads_parts = True

    def __init__(
        self,
        vocabulary: Sequence[str],
        merges: Sequence[tuple[str, str]],
        digits_alone: bool = False,
        may_lack_bytes: bool = False,
    ) -> None:
        self._vocabulary = list(vocabulary)
        self._merges = list(merges)
        self._digits_alone = digits_alone
        self.vocab_size = len(self._vocabulary)
        ids = {token: number for number, token in enumerate(self._vocabulary)}
        parts_of_merges = chain.from_iterable(self._merges)
        results_of_merges = map("".join, self._merges)
        needed_bytes = [] if may_lack_bytes else BYTE_LETTERS
        missing = sorted({*needed_bytes, *parts_of_merges, *results_of_merges} - ids.keys())
        if missing:
            raise ValueError(f"the vocabulary lacks {len(missing)} of the bytes and merges, such as {missing[0]!r}")
        self._ids = ids
        self._bytes = [bytes(_TO_BYTES.get(letter, 0) for letter in token) for token in self._vocabulary]
        self._ids_of_words = _IdsOfWords(BPE(ids, self._merges))

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        if len(self._ids_of_words) > _REMEMBERED:
            self._ids_of_words.clear()
        encoded = []
        for text in texts:
            ids = map(self._ids_of_words.__getitem__, split_words(clean(text), self._digits_alone))
            encoded.append(np.fromiter(chain.from_iterable(ids), np.int32))
        return encoded

    def text_of(self, ids: np.ndarray) -> str:
        joined = b"".join([self._bytes[number] for number in ids.tolist()])
        return joined.decode("utf-8", "replace")

    def build_graph(self) -> BytePairGraph:
        merges = [(self._ids[left], self._ids[right], self._ids[left + right]) for left, right in self._merges]
        bytes_to_ids = [self._ids.get(letter, NO_TOKEN) for letter in BYTE_LETTERS]
        return BytePairGraph(np.array(merges, np.int64).reshape(-1, 3), bytes_to_ids, self._bytes, self._digits_alone)

    @property
    def vocabulary(self) -> list[str]:
        """Tokens by id, written in ``BYTE_LETTERS``."""
        return list(self._vocabulary)

    @property
    def merges(self) -> list[tuple[str, str]]:
        """Pairs of tokens, in the order in which they were learned."""
        return list(self._merges)

    @property
    def digits_alone(self) -> bool:
        """Whether each digit is a word."""
        return self._digits_alone

    def content(self) -> dict[str, Any]:
        return {"vocabulary": self._vocabulary, "merges": [" ".join(pair) for pair in self._merges]}

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        return cls(content["vocabulary"], [tuple(pair.split(" ")) for pair in content["merges"]])


class _IdsOfWords(dict[str, tuple[int, ...]]):
    """Word -> ids; a word is merged when it is first looked up."""

    def __init__(self, model: BPE) -> None:
        super().__init__()
        self._model = model

    def __missing__(self, word: str) -> tuple[int, ...]:
        letters = word.encode().decode("latin-1").translate(_TO_LETTERS)
        ids = self[word] = tuple(token.id for token in self._model.tokenize(letters))
        return ids
