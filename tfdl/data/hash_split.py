"""The split of a sample, decided by its content and not by its position."""

import hashlib

SPLITS = ("train", "validation", "test")
"""The splits of a data set."""
BUCKETS = 1000
"""The numbers of samples are dealt out to so many buckets."""
# Buckets of each split, taken in this order; the rest is for training.
_VALIDATION = 100
_TEST = 100


def content_number(content: str | bytes) -> int:
    """A number of 64 bits for a sample, from the SHA-256 of its content. Equal samples have equal numbers."""
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(content).digest()
    return int.from_bytes(digest[:8], "big")


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
