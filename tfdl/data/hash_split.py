"""The split of a sample, decided by its content and not by its position."""

import hashlib

SPLITS = ("train", "validation", "test")
"""The splits of a data set."""
# Samples of a thousand, taken in this order; the rest is for training.
_VALIDATION = 100
_TEST = 100


def hash_split(content: str | bytes) -> str:
    """``train`` (80%), ``validation`` or ``test`` (10% each), from the SHA-256 of the content.

    Samples that are added, removed or reordered do not change the split of any other sample. Equal samples share a
    split.
    """
    return split_of_hash(content_hash(content))


def content_hash(content: str | bytes) -> int:
    """The first 8 bytes of the content's SHA-256, as a number."""
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big")


def split_of_hash(number: int) -> str:
    """The split of a content with this hash.

    Args:
        number: see ``content_hash``.
    """
    bucket = number % 1000
    if bucket < _VALIDATION:
        return "validation"
    if bucket < _VALIDATION + _TEST:
        return "test"
    return "train"
