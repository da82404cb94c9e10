"""Hashes of texts: those of the whole text in UTF-8, whatever its length."""

import hashlib

import pytest

from tfdl.data import hash_split as hashing
from tfdl.data.files.text_splits import SplitSummary
from tfdl.data.hash_split import add_text, hash_split

TEXTS = ["", "a", "Öl \U0001f600 \ud83d\ude00 \ud800", "abc" * 100]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("piece", [1, 2, 7, 2**20])
def test_pieces_hash_as_the_whole(text, piece, monkeypatch):
    monkeypatch.setattr(hashing, "_PIECE", piece)
    encoded = text.encode("utf-8", "surrogatepass")
    hashed = hashlib.sha256()
    add_text(hashed, text)
    assert hashed.digest() == hashlib.sha256(encoded).digest()
    assert hash_split(text) == hash_split(encoded)


def test_the_fingerprint_of_rows_is_that_of_earlier_versions():
    # Runs and tables of tokens are found by it.
    summary = SplitSummary()
    rows = [{"text": text, "label": str(number)} for number, text in enumerate(TEXTS)]
    expected = hashlib.sha256()
    for row in rows:
        summary.add(row)
        expected.update("\0".join([*row.values(), ""]).encode("utf-8", "surrogatepass"))
    assert summary.digest.digest() == expected.digest()
