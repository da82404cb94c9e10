"""GPT-2's words: our classes of characters, and our cut, against Hugging Face's."""

import re

import pytest
import tensorflow as tf
from hypothesis import given, settings
from tokenizers import Regex
from tokenizers.pre_tokenizers import ByteLevel, Split

from tests.data.tokenizers.texts import readable, texts
from tfdl.data.tokenizers import unicode_classes
from tfdl.data.tokenizers.pretokens import split_words, split_words_in_graph

EVERYTHING = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))


def gpt2_words(text):
    return [text[start:end] for _, (start, end) in ByteLevel(add_prefix_space=False).pre_tokenize_str(text)]


@pytest.mark.parametrize(("name", "pattern"), [("LETTERS", r"\p{L}+"), ("NUMBERS", r"\p{N}+"), ("SPACES", r"\s+")])
def test_every_character_is_in_its_class(name, pattern):
    expected = [run for run, _ in Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(EVERYTHING)]
    assert re.findall(f"[{getattr(unicode_classes, name)}]+", EVERYTHING) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("they'll do, I'D say's", ["they", "'ll", " do", ",", " I", "'", "D", " say", "'s"]),
        ("a  b   c ", ["a", " ", " b", "  ", " c", " "]),
        ("a\n\nb \n c\n", ["a", "\n", "\n", "b", " \n", " c", "\n"]),
        ("a\t b\u00a0c \u3000d", ["a", "\t", " b", "\u00a0", "c", " ", "\u3000", "d"]),
        ("x2 y½²", ["x", "2", " y", "½²"]),
        (" 's '", [" '", "s", " '"]),
    ],
)
def test_words_by_hand(text, words):
    assert split_words(text) == words == gpt2_words(text)
    assert split_words_in_graph(tf.constant([text])).to_list() == [[word.encode() for word in words]]


@settings(max_examples=500)
@given(texts.map(readable))
def test_words_are_those_of_gpt2(text):
    assert split_words(text) == gpt2_words(text)
    assert "".join(split_words(text)) == text
