"""Tokenizers on disk: the same bytes for the same texts, and damage is seen."""

import json
import os
import subprocess
import sys

import pytest

from tests.data.tokenizers.texts import CORPUS
from tfdl.config import choose_tokenizer
from tfdl.data.tokenizers import ByteTokenizer, CharacterTokenizer, fit_tokenizer, load_tokenizer
from tfdl.data.tokenizers.file import file_bytes
from tfdl.errors import UserError

NAMES = ["byte", "character", "word", "bpe", "gpt2"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_loaded_is_equal(fitted, tmp_path, name):
    tokenizer = fitted[name]
    tokenizer.save(tmp_path / "assets")
    loaded = load_tokenizer(tmp_path / "assets")
    assert type(loaded) is type(tokenizer)
    assert loaded == tokenizer
    assert type(tokenizer).load(tmp_path / "assets").digest == tokenizer.digest == loaded.digest
    for attribute in ("name", "vocab_size", "pad_id", "start_id", "end_id"):
        assert getattr(loaded, attribute) == getattr(tokenizer, attribute)
    assert [ids.tolist() for ids in loaded.encode_batch(CORPUS)] == [
        ids.tolist() for ids in tokenizer.encode_batch(CORPUS)
    ]
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again/tokenizer.json").read_bytes() == (tmp_path / "assets/tokenizer.json").read_bytes()


def test_special_tokens_of_our_own(fitted):
    for name in ("byte", "character", "word", "bpe"):
        assert (fitted[name].pad_id, fitted[name].start_id, fitted[name].end_id) == (0, 1, 2)


def test_tokenizers_differ(fitted):
    assert len({tokenizer.digest for tokenizer in fitted.values()}) == len(set(fitted.values())) == len(fitted)
    assert CharacterTokenizer("ab") != CharacterTokenizer("abc")
    assert CharacterTokenizer("ab") != "ab"


def test_another_process_learns_the_same(fitted):
    program = """\
from tests.data.tokenizers.texts import CORPUS
from tfdl.config import choose_tokenizer
from tfdl.data.tokenizers import fit_tokenizer
for name, size in (("character", None), ("word", None), ("bpe", 500)):
    print(fit_tokenizer(choose_tokenizer({"name": name, "vocab_size": size}), CORPUS).digest)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "5", "RAYON_NUM_THREADS": "1"},
    )
    assert done.stdout.split() == [fitted[name].digest for name in ("character", "word", "bpe")]


def test_texts_are_read_once(fitted):
    for name in ("character", "word"):
        assert fit_tokenizer(choose_tokenizer(name), (text for text in CORPUS)) == fitted[name]


def refused(folder):
    with pytest.raises(UserError) as raised:
        load_tokenizer(folder)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_no_file(tmp_path):
    assert refused(tmp_path) == (
        f"cannot read '{tmp_path}/tokenizer.json' (No such file or directory); expected a tokenizer that a run saved"
    )
    with pytest.raises(UserError, match="cannot read"):
        ByteTokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"import", b"export"),
        (b'"word"', b'"bpe"'),
        (b"}", b""),
        (b"{", b"[" * 100_000),
        (b"{", b"\xff{"),
        (b'"content"', b'"contents"'),
    ],
    ids=["a word", "the name", "short", "deep", "no text", "no contents"],
)
def test_a_damaged_file(fitted, tmp_path, old, new):
    fitted["word"].save(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_bytes(path.read_bytes().replace(old, new))
    assert refused(tmp_path) == (
        f"'{path}' is damaged: its contents are not what was saved; copy it anew, or train again"
    )


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"3"])
def test_a_file_of_something_else(tmp_path, data):
    (tmp_path / "tokenizer.json").write_bytes(data)
    assert "is damaged" in refused(tmp_path)


def test_a_name_that_is_not_known(tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(file_bytes("syllable", {}))
    assert refused(tmp_path).endswith("is of 'syllable', expected one of byte, character, word, bpe, gpt2, huggingface")


def test_another_kind(fitted, tmp_path):
    fitted["word"].save(tmp_path)
    with pytest.raises(UserError, match=r"holds a word tokenizer, expected byte"):
        ByteTokenizer.load(tmp_path)


@pytest.mark.parametrize("name", ["character", "word", "bpe", "gpt2"])
def test_contents_of_another_version(tmp_path, name):
    (tmp_path / "tokenizer.json").write_bytes(file_bytes(name, {"something": 1}))
    assert "was written by another version of tfdl" in refused(tmp_path)


def test_the_file_can_be_read(fitted, tmp_path):
    fitted["bpe"].save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))["content"]
    assert content["vocabulary"][:4] == ["<pad>", "<start>", "<end>", "!"]
    assert len(content["vocabulary"]) == fitted["bpe"].vocab_size == 500
    assert len(content["merges"]) >= 500 - 3 - 256
