"""Tokenizers in the configuration: their sizes, and what does not go together."""

import pytest

from tfdl.config import choose_tokenizer
from tfdl.errors import UserError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"name": "wrod"},
            "unknown tokenizer 'wrod', expected one of byte, character, word, bpe, gpt2, huggingface."
            " Did you mean 'word'?",
        ),
        ({"name": "word", "vocab_size": 4}, "tokenizer.vocab_size=4, expected a number of at least 5 for word"),
        ({"name": "bpe", "vocab_size": 258}, "tokenizer.vocab_size=258, expected a number of at least 259 for bpe"),
        ({"name": "bpe", "vocab_size": "many"}, "tokenizer.vocab_size='many', expected a whole number"),
        (
            {"name": "byte", "vocab_size": 300},
            "unknown key 'tokenizer.vocab_size', expected none: it has no fields",
        ),
        ({"name": "gpt2"}, "tokenizer.folder=None, expected the folder of vocab.json and merges.txt"),
        ({"name": "bpe", "folder": "x"}, "unknown key 'tokenizer.folder', expected one of vocab_size."),
    ],
)
def test_message(values, message):
    with pytest.raises(UserError) as raised:
        choose_tokenizer(values)
    assert str(raised.value) == message


def test_most_tokens():
    assert choose_tokenizer("word").most_tokens == 50_000
    assert choose_tokenizer("bpe").most_tokens == 8_000
    assert choose_tokenizer({"name": "bpe", "vocab_size": 259}).most_tokens == 259
    assert choose_tokenizer(None, default="byte") == choose_tokenizer("byte")


def test_a_configuration_of_version_0_1_is_read():
    """It listed both fields for every tokenizer."""
    former = {"name": "byte", "vocab_size": None, "folder": None}
    assert choose_tokenizer(former) == choose_tokenizer("byte")
    former = {"name": "bpe", "vocab_size": 500, "folder": None}
    assert choose_tokenizer(former).most_tokens == 500
