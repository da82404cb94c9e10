"""Byte pairs by hand, against Hugging Face's merging and ``transformers``, and files that cannot be used."""

import json

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.tokenizers.texts import texts
from tfdl.config import choose_tokenizer
from tfdl.data.tokenizers import BPETokenizer, GPT2Tokenizer, fit_tokenizer
from tfdl.data.tokenizers.byte_pair import BYTE_LETTERS
from tfdl.errors import UserError

SPECIAL = ["<pad>", "<start>", "<end>"]


def tokenizer_of(*merges):
    pairs = [tuple(merge.split(" ")) for merge in merges]
    return BPETokenizer([*SPECIAL, *BYTE_LETTERS, *dict.fromkeys(map("".join, pairs))], pairs)


def tokens(tokenizer, text):
    in_graph = tokenizer.encode_in_graph(tf.constant([text])).to_list()[0]
    assert in_graph == tokenizer.encode(text)
    return [tokenizer.decode([place]) for place in in_graph]


def test_merges_learned_first_come_first():
    assert tokens(tokenizer_of("b c", "a b", "a bc"), "abcab") == ["abc", "ab"]
    assert tokens(tokenizer_of("a b", "b c", "a bc"), "abcab") == ["ab", "c", "ab"]


def test_runs_are_merged_from_the_left():
    assert tokens(tokenizer_of("a a"), "aaaaabaaa") == ["aa", "aa", "a", "b", "aa", "a"]
    assert tokens(tokenizer_of("a a", "aa aa"), "a" * 7) == ["aaaa", "aa", "a"]


def test_nothing_is_merged_over_words():
    assert tokens(tokenizer_of("a Ġ", "Ġ a"), "a a") == ["a", " a"]


def test_no_merges():
    assert tokens(tokenizer_of(), "aé") == ["a", "\ufffd", "\ufffd"]


def test_a_token_that_is_made_in_two_ways():
    """After the first "abc" is made, it is to merge with "a" before the second "abc" is made."""
    assert tokens(tokenizer_of("b c", "abc a", "a bc"), "abcabc") == ["abca", "bc"]


@settings(max_examples=20)
@given(st.data())
def test_merges_in_any_order(data):
    """Orders that no training gives: the graph merges as Hugging Face's library does."""
    found = list("ab")
    pairs = []
    for _ in range(data.draw(st.integers(4, 20))):
        pair = (data.draw(st.sampled_from(found)), data.draw(st.sampled_from(found)))
        if pair not in pairs and len("".join(pair)) < 8:
            pairs.append(pair)
            found.append("".join(pair))
    pairs = data.draw(st.permutations(pairs))
    tokenizer = BPETokenizer([*SPECIAL, *BYTE_LETTERS, *dict.fromkeys(map("".join, pairs))], pairs)
    batch = data.draw(st.lists(st.text("ab", min_size=10, max_size=30), min_size=3, max_size=3))
    assert tokenizer.encode_in_graph(tf.constant(batch)).to_list() == [tokenizer.encode(text) for text in batch]


def test_what_is_learned():
    tokenizer = fit_tokenizer(choose_tokenizer({"name": "bpe", "vocab_size": 261}), ["hug hugs hugging", "pug"])
    assert [tokenizer.decode([place]) for place in (259, 260)] == ["ug", "hug"]
    assert tokenizer.vocab_size == 261
    assert fit_tokenizer(choose_tokenizer("bpe"), ["abab xy"]).vocab_size == 260  # what occurs once is not merged


def test_words_are_forgotten_when_they_are_many(monkeypatch):
    monkeypatch.setattr("tfdl.data.tokenizers.byte_pair._REMEMBERED", 3)
    tokenizer = tokenizer_of("a b")
    first = [ids.tolist() for ids in tokenizer.encode_batch(["ab cd ef gh", "ab"])]
    assert len(tokenizer._ids_of_words) == 4
    assert [ids.tolist() for ids in tokenizer.encode_batch(["ab"])] == first[1:]
    assert len(tokenizer._ids_of_words) == 1


# GPT-2's files


@pytest.fixture(scope="module")
def reference(gpt2_folder):
    return pytest.importorskip("transformers").GPT2Tokenizer.from_pretrained(str(gpt2_folder))


@settings(max_examples=500)
@given(st.data())
def test_the_ids_are_those_of_transformers(fitted, reference, data):
    text = data.draw(texts.filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text)))
    ids = reference(text, split_special_tokens=True)["input_ids"]
    assert fitted["gpt2"].encode(text) == ids
    assert fitted["gpt2"].decode(ids) == reference.decode(ids, clean_up_tokenization_spaces=False) == text


def test_special_tokens_are_those_of_transformers(fitted, reference):
    assert fitted["gpt2"].end_id == fitted["gpt2"].start_id == fitted["gpt2"].pad_id == reference.eos_token_id
    assert fitted["gpt2"].vocab_size == len(reference)
    assert fitted["gpt2"].decode([reference.eos_token_id]) == ""


def refused(folder):
    with pytest.raises(UserError) as raised:
        fit_tokenizer(choose_tokenizer({"name": "gpt2", "folder": str(folder)}), [])
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def files(tmp_path, gpt2_folder):
    """Copies that a test may spoil."""
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((gpt2_folder / name).read_bytes())
    return tmp_path


def test_good_files(files, fitted):
    merges = (files / "merges.txt").read_bytes()
    (files / "merges.txt").write_bytes(merges.replace(b"\n", b"\r\n"))
    assert fit_tokenizer(choose_tokenizer({"name": "gpt2", "folder": str(files)}), iter(())) == fitted["gpt2"]


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt"])
def test_a_file_that_cannot_be_read(files, name):
    (files / name).write_bytes(b"\xff")
    assert (
        refused(files) == f"cannot read '{files / name}' (not UTF-8 text); expected a file as Hugging Face publishes it"
    )
    (files / name).unlink()
    assert f"cannot read '{files / name}' (No such file or directory)" in refused(files)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "has other contents, expected tokens with the numbers from 0 on, none left out"),
        ('{"a": 1}', "has other contents"),
        ('{"a": 0, "b": 0}', "has other contents"),
        ('{"a": true}', "has other contents"),
        ('{"a": 0}', r"has no token <|endoftext|>, expected GPT-2's vocabulary"),
        ('{"<|endoftext|>": 0}', "do not belong together: "),
    ],
)
def test_a_vocabulary_that_is_none(files, contents, message):
    (files / "vocab.json").write_text(contents)
    assert message in refused(files)


@pytest.mark.parametrize("line", ["one", "a b c"])
def test_merges_that_are_none(files, line):
    (files / "merges.txt").write_text(f"#version: 0.2\n{line}\nĠ t\n")
    assert refused(files) == f"'{files}/merges.txt' line 2 is '{line}', expected two tokens with a space between"


def test_files_of_two_models(files):
    ids = json.loads((files / "vocab.json").read_text(encoding="utf-8"))
    (files / "merges.txt").write_text("t h\nth q\n")
    assert refused(files) == (
        f"vocab.json and merges.txt in '{files}' do not belong together: the vocabulary lacks 1 of the bytes and"
        " merges, such as 'thq'"
    )
    assert "thq" not in ids
    assert isinstance(GPT2Tokenizer(list(ids), []), GPT2Tokenizer)
