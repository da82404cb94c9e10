"""Long texts in parts: the same vocabulary and the same tokens as from whole texts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.tokenizers.test_any_text import NAMES
from tests.data.tokenizers.texts import CORPUS, texts
from tfdl.config import choose_tokenizer
from tfdl.data.tokenizers import fit_tokenizer, parts
from tfdl.data.tokenizers.base import Tokenizer
from tfdl.data.tokenizers.parts import parts_of

CONFIGS = ["byte", "character", "word", {"name": "bpe", "vocab_size": 500}]


@given(texts, st.integers(0, 5), st.data())
def test_the_tokens_of_a_text_are_those_of_its_parts(fitted, text, size, data):
    tokenizer = fitted[data.draw(st.sampled_from(NAMES))]
    assert tokenizer.reads_parts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_SIZE", size)
        of_text = list(parts_of(text))
    assert "".join(of_text) == text
    of_parts = np.concatenate(tokenizer.encode_batch(of_text))
    np.testing.assert_array_equal(of_parts, tokenizer.encode(text))


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_vocabulary_of_texts_is_that_of_their_parts(config, monkeypatch):
    monkeypatch.setattr(parts, "_SIZE", 10)
    assert sum(len(list(parts_of(text))) for text in CORPUS) > 1000
    of_parts = fit_tokenizer(choose_tokenizer(config), iter(CORPUS))
    monkeypatch.setattr(type(of_parts), "reads_parts", False)
    assert of_parts == fit_tokenizer(choose_tokenizer(config), iter(CORPUS))


def test_a_part_ends_with_a_word(monkeypatch):
    monkeypatch.setattr(parts, "_SIZE", 3)
    assert list(parts_of("one two  three\n\nfour \tfive")) == ["one two", "  three", "\n\nfour", " \tfive"]
    assert list(parts_of("onetwothree")) == ["onetwothree"]
    assert list(parts_of("")) == [""]


def test_a_tokenizer_of_the_user_reads_whole_texts_unless_it_says_otherwise():
    assert not Tokenizer.reads_parts
