"""The character tokenizer: its vocabulary, and what it does not know."""

import numpy as np

from tfdl.config import choose_tokenizer
from tfdl.data.tokenizers import CharacterTokenizer, fit_tokenizer


def fit(*texts):
    return fit_tokenizer(choose_tokenizer("character"), iter(texts))


def test_characters_have_the_order_of_their_numbers():
    tokenizer = fit("cab", "aä", "\n")
    assert tokenizer.characters == "\nabcä"
    assert tokenizer.vocab_size == 9
    assert tokenizer.encode("abc\n") == [5, 6, 7, 4]


def test_an_unknown_character():
    tokenizer = fit("abc")
    assert tokenizer.encode("a\0z\U0010ffff") == [4, 3, 3, 3]
    assert tokenizer.decode([4, 3, 0, 1, 2]) == "a\ufffd"


def test_no_texts():
    tokenizer = fit()
    assert tokenizer.vocab_size == 4
    assert tokenizer.encode("ab") == [3, 3]


def test_a_batch_is_cut_at_its_texts():
    batch = CharacterTokenizer("ab").encode_batch(["ab", "", "b"])
    assert [ids.tolist() for ids in batch] == [[4, 5], [], [5]]
    assert {ids.dtype for ids in batch} == {np.dtype(np.int32)}
