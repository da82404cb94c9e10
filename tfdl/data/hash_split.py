"""The split of a sample, decided by its content and not by its position."""

import hashlib
from typing import Any

SPLITS = ("train", "validation", "test")
"""The splits of a data set."""
BUCKETS = 1000
"""The numbers of samples are dealt out to so many buckets."""
# Buckets of each split, taken in this order; the rest is for training.
_VALIDATION = 100
_TEST = 100
# Characters that are encoded at a time.
_PIECE = 2**20


def content_number(content: str | bytes) -> int:
    """A number of 64 bits for a sample, from the SHA-256 of its content. Equal samples have equal numbers."""
    hashed = hashlib.sha256()
    if isinstance(content, str):
        add_text(hashed, content)
    else:
        hashed.update(content)
    return int.from_bytes(hashed.digest()[:8], "big")


def split_of_number(number: int) -> str:
    """``train`` (80%), ``validation`` or ``test`` (10% each), from the ``content_number`` of a sample.

    Samples that are added, removed or reordered do not change the split of any other sample. Equal samples share a
    split.
    """
    bucket = number % BUCKETS
    if bucket < _VALIDATION:
        return "validation"
    if bucket < _VALIDATION + _TEST:
        return "test"
    return "train"


def hash_split(content: str | bytes) -> str:
    """``split_of_number`` of a sample's content."""
    return split_of_number(content_number(content))


def add_text(hashed: Any, text: str) -> None:
    """Adds a text in UTF-8 to a hash; of a long one, such as a whole file, no encoded copy is in memory.

    Args:
        hashed: of ``hashlib``.
        text: any text, also with lone surrogates.
    """
    for begin in range(0, len(text), _PIECE):
        piece = text[begin : begin + _PIECE]
        hashed.update(piece.encode("utf-8", "surrogatepass"))
