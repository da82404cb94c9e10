"""Tokenizers in the configuration: their sizes, and what does not go together."""

import pytest

from tfdl.config import TokenizerConfig
from tfdl.errors import UserError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"name": "wrod"},
            "tokenizer.name='wrod', expected one of byte, character, word, bpe, gpt2. Did you mean 'word'?",
        ),
        ({"name": "word", "vocab_size": 4}, "tokenizer.vocab_size=4, expected a number of at least 5 for word"),
        ({"name": "bpe", "vocab_size": 258}, "tokenizer.vocab_size=258, expected a number of at least 259 for bpe"),
        ({"name": "bpe", "vocab_size": "many"}, "tokenizer.vocab_size='many', expected a whole number"),
        (
            {"name": "byte", "vocab_size": 300},
            "tokenizer.vocab_size=300, expected none for byte, whose vocabulary is given; leave it out",
        ),
        ({"name": "gpt2"}, "tokenizer.folder=None, expected the folder of vocab.json and merges.txt"),
        ({"name": "bpe", "folder": "x"}, "tokenizer.folder='x', expected none for bpe; only gpt2 reads a folder"),
    ],
)
def test_message(values, message):
    with pytest.raises(UserError) as raised:
        TokenizerConfig(**values)
    assert str(raised.value) == message


def test_most_tokens():
    assert TokenizerConfig("word").most_tokens == 50_000
    assert TokenizerConfig("bpe").most_tokens == 8_000
    assert TokenizerConfig("bpe", 259).most_tokens == 259
    assert TokenizerConfig() == TokenizerConfig("byte")
