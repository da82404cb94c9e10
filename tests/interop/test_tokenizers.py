"""Imported tokenizers give the ids and texts of transformers for hard strings, in Python and in a graph."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.interop import published
from tests.interop.published import HARD, transformers
from tfdl.data.tokenizers import load_tokenizer
from tfdl.errors import UserError
from tfdl.interop.tokenizers import read_tokenizer
from tfdl.tasks.language_modeling import LanguageModeling

END = {"eos_token": "<|endoftext|>"}
LLAMA_ENDS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
START = {"bos_token": "<|im_start|>", "eos_token": "<|endoftext|>"}
# Name -> tokenizer, its special tokens, and the name of tfdl's tokenizer.
KINDS = {
    "gpt2": (published.byte_level, END, "gpt2"),
    "digits": (lambda: published.byte_level(digits_alone=True), END, "gpt2"),
    "llama2": (published.with_byte_fallback, LLAMA_ENDS, "huggingface"),
    "llama3": (published.like_llama3, START, "huggingface"),
}


@pytest.fixture(scope="module", params=list(KINDS))
def pair(request, tmp_path_factory):
    """The tokenizer of transformers, and what was read of its files."""
    make, tokens, name = KINDS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    tokenizer = make()
    published.save_tokenizer(folder, tokenizer, **tokens)
    size = tokenizer.get_vocab_size()
    read = read_tokenizer(folder, "llama", size, None, pads_with_0=False)
    assert read.tokenizer.name == name
    return transformers.AutoTokenizer.from_pretrained(folder), read


def clean(text):
    return text.replace("\ud800", "\ufffd")


@pytest.mark.parametrize("text", HARD)
def test_ids_and_texts(pair, text):
    reference, read = pair
    ids = read.tokenizer.encode(text)
    assert ids == reference(clean(text), add_special_tokens=False, split_special_tokens=True).input_ids
    assert read.tokenizer.decode(ids) == reference.decode(ids, skip_special_tokens=True)


def test_invalid_bytes(pair):
    """Half of a character decodes to U+FFFD, as in transformers."""
    reference, read = pair
    ids = read.tokenizer.encode("🙂é")
    for end in range(1, len(ids)):
        assert read.tokenizer.decode(ids[:end]) == reference.decode(ids[:end], skip_special_tokens=True)


def test_texts_begin_as_in_transformers(pair):
    reference, read = pair
    begins = reference("hello").input_ids[: len(reference("hello").input_ids) - len(read.tokenizer.encode("hello"))]
    assert begins == ([read.tokenizer.start_id] if read.adds_start else [])
    assert read.tokenizer.end_id == reference.eos_token_id


def test_it_comes_back_from_its_file(pair, tmp_path):
    _, read = pair
    read.tokenizer.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again == read.tokenizer
    assert again.encode("hello 12") == read.tokenizer.encode("hello 12")
    special = ("pad_id", "start_id", "end_id", "vocab_size")
    assert [getattr(again, name) for name in special] == [getattr(read.tokenizer, name) for name in special]


def test_in_a_graph(pair):
    _, read = pair
    texts = [clean(text) for text in HARD]
    if not read.tokenizer.has_graph:
        with pytest.raises(UserError, match="huggingface has no form in a TensorFlow graph"):
            tf.function(read.tokenizer.encode_in_graph, autograph=False)(tf.constant(texts))
        ids = read.tokenizer.encode_in_graph(tf.constant(texts))  # outside of a graph
        assert ids.to_list() == [read.tokenizer.encode(text) for text in texts]
        return
    ids = tf.function(read.tokenizer.encode_in_graph)(tf.constant(texts))
    assert ids.to_list() == [read.tokenizer.encode(text) for text in texts]


def test_every_digit_of_unicode_is_alone(tmp_path):
    """The library's digits are those of tfdl's table."""
    published.save_tokenizer(tmp_path, published.byte_level(digits_alone=True), **END)
    reference = transformers.AutoTokenizer.from_pretrained(tmp_path)
    tokenizer = read_tokenizer(tmp_path, "llama", 400, None, pads_with_0=False).tokenizer
    points = [chr(point) for point in range(0x20000) if not 0xD800 <= point < 0xE000]
    text = " ".join(f"a{character}b" for character in points)
    expected = reference(text, add_special_tokens=False, split_special_tokens=True).input_ids
    assert tokenizer.encode(text) == expected


def test_bert(tmp_path):
    published.save_wordpiece(tmp_path)
    reference = transformers.BertTokenizerFast.from_pretrained(tmp_path)
    read = read_tokenizer(tmp_path, "bert", len(published.WORDS), None, pads_with_0=True)
    assert (read.adds_start, read.adds_end) == (True, True)
    special = (read.tokenizer.pad_id, read.tokenizer.start_id, read.tokenizer.end_id)
    assert special == (reference.pad_token_id, reference.cls_token_id, reference.sep_token_id)
    for text in HARD:
        ids = read.tokenizer.encode(text)
        assert ids == reference(clean(text), add_special_tokens=False, split_special_tokens=True).input_ids, text
        assert read.tokenizer.decode(ids) == reference.decode(ids, skip_special_tokens=True)


def test_a_model_may_have_more_rows_than_tokens(tmp_path):
    published.save_tokenizer(tmp_path, published.byte_level(), **END)
    tokenizer = read_tokenizer(tmp_path, "llama", 410, None, pads_with_0=False).tokenizer
    assert tokenizer.vocab_size == 410
    hello = tokenizer.encode("hello")
    assert tokenizer.decode(np.array([405, *hello])) == "hello"


def test_old_files_that_leave_out_what_is_implied(tmp_path):
    """As the first tokenizer.json of GPT-2, with special tokens in their own file."""
    published.save_tokenizer(tmp_path, published.byte_level(), **END)
    described = json.loads((tmp_path / "tokenizer.json").read_text())
    del described["model"]["type"]
    described["model"]["merges"] = [" ".join(pair) for pair in described["model"]["merges"]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(described))
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"eos_token": {"content": "<|im_start|>"}}))
    tokenizer = read_tokenizer(tmp_path, "gpt2", 400, None, pads_with_0=False).tokenizer
    assert (tokenizer.name, tokenizer.end_id) == ("gpt2", 1)


def test_samples_of_a_large_vocabulary_are_short(tmp_path):
    """An export of a model with a large vocabulary must not need the memory of many long texts' logits."""
    published.save_tokenizer(tmp_path, published.byte_level(), **END)
    tokenizer = read_tokenizer(tmp_path, "llama", 1_000_000, None, pads_with_0=False).tokenizer
    sample = LanguageModeling(tokenizer, 1024).serving_sample(8)["token_ids"]
    assert sample.shape == (8, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer, expected tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "tokenizer.json").write_text("[]"), "holds a list, expected a JSON object"),
        (lambda folder: (folder / "tokenizer.json").write_text('{"model": 1}'), "tokenizer.json' cannot be used"),
        (lambda folder: (folder / "tokenizer.json").write_bytes(b"\xff{}"), "is not JSON"),
        (lambda folder: (folder / "tokenizer_config.json").unlink(), "names no end of a text, expected eos_token"),
    ],
)
def test_files_that_cannot_be_used(change, message, tmp_path):
    published.save_tokenizer(tmp_path, published.byte_level(), **END)
    change(tmp_path)
    with pytest.raises(UserError, match=message):
        read_tokenizer(tmp_path, "llama", 400, None, pads_with_0=False)


def test_more_tokens_than_rows(tmp_path):
    published.save_tokenizer(tmp_path, published.byte_level(), **END)
    with pytest.raises(UserError, match="has 400 tokens, but the model only 399; the files do not belong together"):
        read_tokenizer(tmp_path, "llama", 399, None, pads_with_0=False)


def test_sentencepiece_s_file_is_refused_with_the_command_that_converts_it(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(b"")
    with pytest.raises(UserError, match=r"has tokenizer.model only; make tokenizer.json of it: python -c"):
        read_tokenizer(tmp_path, "llama", 400, None, pads_with_0=False)


def test_the_tokens_of_config_json_end_texts_where_the_tokenizer_names_none(tmp_path):
    published.save_tokenizer(tmp_path, published.byte_level())
    assert "eos_token" not in json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert read_tokenizer(tmp_path, "llama", 400, 1, pads_with_0=False).tokenizer.end_id == 1
