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
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(content).digest()
    bucket = int.from_bytes(digest[:8], "big") % 1000
    if bucket < _VALIDATION:
        return "validation"
    if bucket < _VALIDATION + _TEST:
        return "test"
    return "train"
