"""Tokenizer files that ask for more than a tokenizer needs. In the library some of them end the process."""

import json

import pytest
from tokenizers import Tokenizer as Library
from tokenizers import models, pre_tokenizers

from tfdl.config import choose_tokenizer
from tfdl.data.tokenizers import fit_tokenizer
from tfdl.data.tokenizers.file import file_bytes
from tfdl.data.tokenizers.huggingface import HuggingFaceTokenizer
from tfdl.data.tokenizers.registry import load_tokenizer
from tfdl.errors import UserError

WORDS = {"[UNK]": 0, "[END]": 1, "a": 2, "b": 3}


@pytest.fixture
def read(tmp_path):
    """``read(**changes)``: the tokenizer of a folder whose tokenizer.json is changed in some keys."""

    def make(**changes):
        library = Library(models.WordLevel(WORDS, unk_token="[UNK]"))
        library.pre_tokenizer = pre_tokenizers.Whitespace()
        described = json.loads(library.to_str()) | changes
        (tmp_path / "tokenizer.json").write_text(json.dumps(described))
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "[END]", "bos_token": "[END]"}))
        return fit_tokenizer(choose_tokenizer({"name": "huggingface", "folder": str(tmp_path)}), ())

    return make


def padding(strategy, multiple=None):
    return {
        "strategy": strategy, "direction": "Right", "pad_to_multiple_of": multiple, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "[UNK]",
    }  # fmt: skip


@pytest.mark.parametrize("settings", [padding({"Fixed": 10**12}), padding("BatchLongest", 10**12)])
def test_padding_of_the_file_is_not_followed(read, settings):
    """The library would take the memory of a trillion tokens for an empty text, and end the process."""
    assert read(padding=settings).encode("a b") == [2, 3]


def template(*steps, tokens):
    return {"type": "TemplateProcessing", "single": list(steps), "pair": [], "special_tokens": tokens}


END = {"SpecialToken": {"id": "[END]", "type_id": 0}}
TEXT = {"Sequence": {"id": "A", "type_id": 0}}
MANY = {"[END]": {"id": "[END]", "ids": [1] * 1000, "tokens": ["[END]"] * 1000}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"post_processor": template(END, TEXT, tokens={})}, "cannot be used: no entry found for key"),
        ({"post_processor": template(END, TEXT, tokens=MANY)}, "adds 1,000 tokens to a text, expected a start and"),
        ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA/////////w=="}}, "cannot be used: Pre"),
        ({"model": {"type": "WordLevel", "vocab": {**WORDS, "c": 2**32 - 1}, "unk_token": "[UNK]"}}, "token number 4,"),
        ({"model": {"type": "WordLevel", "vocab": {**WORDS, "c": 2**32}, "unk_token": "[UNK]"}}, "cannot be used"),
        ({"normalizer": {"type": "Replace", "pattern": {"Regex": ""}, "content": "x" * 300}}, "up to 300 times as lon"),
        (
            {"normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Replace", "pattern": {"String": "x"}, "content": "xxxxxxxxxxxxxxxxxxxx"}] * 9}},
            "up to 512,000,000,000 times",
        ),
        ({"normalizer": {"type": "Prepend", "prepend": "x" * 300}}, "up to 300 times as long"),
        ({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(((("}, "behavior": "Isolated", "invert": False}},
         "cannot be used"),
        ({"model": None}, "cannot be used"),
        ({"added_tokens": 5}, "cannot be used"),
    ],
)  # fmt: skip
def test_one_line(read, changes, message):
    with pytest.raises(UserError) as caught:
        read(**changes)
    if "512,000" in message:
        message = "up to 1,000,000,000 times as long"
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_short_replacements_are_read(read):
    """The control: what published tokenizers have."""
    replace = {"type": "Replace", "pattern": {"String": "c"}, "content": "a b"}
    assert read(normalizer={"type": "Sequence", "normalizers": [replace]}).encode("c b") == [2, 3, 3]


def test_an_expression_that_takes_too_long(read):
    split = {"type": "Split", "pattern": {"Regex": "(a|aa)+$"}, "behavior": "Isolated", "invert": False}
    tokenizer = read(pre_tokenizer=split)
    with pytest.raises(UserError, match=r"'tokenizer.json' cannot be used: .*retry-limit"):
        tokenizer.encode("a" * 60 + "b")


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[1]", b"{", b"\xff"])
def test_a_file_that_is_no_object(read, tmp_path, content):
    read()
    (tmp_path / "tokenizer_config.json").write_bytes(content)
    with pytest.raises(UserError, match=r"tokenizer_config\.json' (is not JSON|holds a list)"):
        fit_tokenizer(choose_tokenizer({"name": "huggingface", "folder": str(tmp_path)}), ())


def test_a_saved_tokenizer_is_read_with_the_same_care(read, tmp_path):
    """The digest in the file is no signature: whoever changes the file can change the digest."""
    content = read().content()
    content["tokenizer.json"]["padding"] = padding({"Fixed": 10**12})
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "tokenizer.json").write_bytes(file_bytes("huggingface", content))
    tokenizer = load_tokenizer(tmp_path / "saved")
    assert isinstance(tokenizer, HuggingFaceTokenizer)
    assert tokenizer.encode("a b") == [2, 3]
