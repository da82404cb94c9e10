"""The word tokenizer: its two ways to cut, its vocabulary, and WikiText's conventions."""

from pathlib import Path

import pytest
import tensorflow as tf

from tests.data.tokenizers.texts import CORPUS
from tfdl.config import choose_tokenizer
from tfdl.data.tokenizers import WordTokenizer, fit_tokenizer
from tfdl.data.tokenizers.word_split import split_words

WIKITEXT = Path(__file__).parents[4] / "shared" / "data" / "wikitext2"


def fit(*texts, vocab_size=None):
    return fit_tokenizer(choose_tokenizer({"name": "word", "vocab_size": vocab_size}), iter(texts))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\r\v\f\u00a0\u3000", []),
        ("Hello, world!", ["Hello", ",", "world", "!"]),
        ("don't 'tis James' l’été", ["don't", "'", "tis", "James", "'", "l’été"]),
        ("well-kept snake_case 3.14", ["well", "-", "kept", "snake_case", "3", ".", "14"]),
        ("a\n\n b\r\n", ["a", "\n", "\n", "b", "\n"]),
        ("“oui” — <unk>…", ["“", "oui", "”", "—", "<unk>", "…"]),
        ("漢字。e\u0301 \U0001f600\U0001f600\0", ["漢字", "。", "e\u0301", "\U0001f600", "\U0001f600", "\0"]),
        ("a\x1cb\x85c", ["a\x1cb", "c"]),
    ],
)
def test_cut_at_punctuation(text, words):
    assert split_words(text, "punctuation") == words


def test_cut_at_spaces():
    assert split_words(" the song , @-@ <unk> don't.\n\n x\t", "spaces") == [
        *("the", "song", ",", "@-@", "<unk>", "don't.", "\n", "\n", "x")
    ]


def test_texts_that_are_tokenized_are_seen():
    assert fit("It is so , is it . Mr. X\n").split == "spaces"
    assert fit("It is so, is it. Yes , x\n").split == "punctuation"
    assert fit("no marks").split == "punctuation"


def test_the_most_frequent_words_come_first():
    tokenizer = fit("b b a a c c c d\n", "\n")
    assert tokenizer.words == ("c", "\n", "a", "b")
    assert tokenizer.encode("c d a\n") == [4, 3, 6, 5]
    assert tokenizer.decode([4, 3, 6, 5]) == "c <unk> a\n"
    assert fit("b b a a c c c", vocab_size=6).words == ("c", "a")


def test_decoding_spaces():
    tokenizer = fit("Yes, no.\n" * 2)
    assert tokenizer.decode(tokenizer.encode("\n Yes,no.\n\nno\n")) == "\nYes , no .\n\nno\n"


def test_no_word_is_frequent():
    tokenizer = fit("once")
    assert tokenizer.vocab_size == 4
    assert tokenizer.encode_in_graph(tf.constant(["once", ""])).to_list() == [tokenizer.encode("once"), []] == [[3], []]


def test_unknown_is_a_word_of_the_text():
    tokenizer = fit("<unk> a <unk> a")
    assert tokenizer.words == ("a",)
    assert tokenizer.encode("a <unk> b") == [4, 3, 3]


def test_an_apostrophe_more():
    assert fit("don't " * 2).words == ("don't",)


def test_words_of_the_corpus_are_found():
    tokenizer = fit(*CORPUS)
    assert {"import", ".", "Öltanker", "e\u0301e\u0301", "\U0001f600"} <= set(tokenizer.words)
    assert isinstance(tokenizer, WordTokenizer)


@pytest.mark.skipif(not WIKITEXT.is_dir(), reason="WikiText-2 is not there")
def test_wikitext_2():
    """33,278 words, of which one is unknown and one the newline (end of sentence), and our three special tokens."""
    with (WIKITEXT / "wiki.train.tokens").open(encoding="utf-8", newline="") as lines:
        texts = list(lines)
    tokenizer = fit(*texts)
    assert tokenizer.split == "spaces"
    assert tokenizer.vocab_size == 33_278 + 3
    assert "\n" in tokenizer.words
    assert sum(map(len, tokenizer.encode_batch(texts))) == 2_088_628
