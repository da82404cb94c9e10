"""Every tokenizer on any text: exact round trips, and the same results in a graph as in Python."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.data.tokenizers.texts import CORPUS, readable, texts

NAMES = ["byte", "character", "word", "bpe", "gpt2"]
STRINGS = tf.TensorSpec([None], tf.string)
IDS = tf.RaggedTensorSpec([None, None], tf.int32)


@pytest.fixture(scope="module", params=NAMES)
def tokenizer(request, fitted):
    return fitted[request.param]


@pytest.fixture(scope="module")
def graph(tokenizer):
    """The traced pair: strings to ids, ids to strings."""
    return (
        tf.function(tokenizer.encode_in_graph, input_signature=[STRINGS]),
        tf.function(tokenizer.decode_in_graph, input_signature=[IDS]),
    )


@given(st.data())
def test_texts_are_decoded_exactly(tokenizer, data):
    text = data.draw(texts)
    expected = readable(text)
    ids = tokenizer.encode(text)
    if tokenizer.name == "character":
        expected = "".join(character if character in tokenizer.characters else "\ufffd" for character in expected)
    if tokenizer.name == "word":  # spaces are not kept, so only a decoded text is encoded and decoded exactly
        expected = tokenizer.decode(ids)
        ids = tokenizer.encode(expected)
    assert tokenizer.decode(ids) == expected


@given(st.data())
def test_the_graph_encodes_as_python_does(tokenizer, graph, data):
    batch = data.draw(st.lists(texts, max_size=4))
    encoded = graph[0](tf.constant([readable(text).encode() for text in batch], tf.string))
    assert encoded.dtype == tf.int32
    assert encoded.to_list() == [tokenizer.encode(text) for text in batch]


@given(st.data())
def test_bytes_that_are_no_text(tokenizer, graph, data):
    batch = data.draw(st.lists(st.binary(), max_size=4))
    expected = [tokenizer.encode(text.decode("utf-8", "replace")) for text in batch]
    assert graph[0](tf.constant(batch, tf.string)).to_list() == expected


@given(st.data())
def test_the_graph_decodes_as_python_does(tokenizer, graph, data):
    batch = data.draw(st.lists(st.lists(st.integers(0, tokenizer.vocab_size - 1)), max_size=4))
    decoded = graph[1](tf.ragged.constant(batch, tf.int32, ragged_rank=1)).numpy().tolist()
    assert [text.decode() for text in decoded] == [tokenizer.decode(ids) for ids in batch]


def test_a_batch_is_its_texts(tokenizer):
    batch = [*CORPUS, "", "\n\n", "x"]
    encoded = tokenizer.encode_batch(batch)
    assert {ids.dtype for ids in encoded} == {np.dtype(np.int32)}
    assert [ids.tolist() for ids in encoded] == [tokenizer.encode(text) for text in batch]
    assert tokenizer.encode_batch([]) == []
    assert max(ids.max(initial=0) for ids in encoded) < tokenizer.vocab_size


def test_long_texts_in_the_graph(tokenizer, graph):
    batch = [*CORPUS, "=" * 3000 + "ab" * 1000 + " " * 1000, "\n".join(CORPUS)]
    encoded = graph[0](tf.constant(batch))
    assert encoded.to_list() == [tokenizer.encode(text) for text in batch]
    assert graph[1](encoded).numpy().tolist() == [tokenizer.decode(ids).encode() for ids in encoded.to_list()]


def test_special_tokens_are_left_out(tokenizer, graph):
    special = [tokenizer.pad_id, tokenizer.start_id, tokenizer.end_id]
    ids = [*special, *tokenizer.encode("import"), *special]
    assert tokenizer.decode(ids) == "import"
    assert tokenizer.decode(special) == tokenizer.decode([]) == ""
    assert graph[1](tf.ragged.constant([ids, special], tf.int32)).numpy().tolist() == [b"import", b""]


@pytest.mark.parametrize("wrong", [-1, 10**6])
def test_an_id_outside_of_the_vocabulary(tokenizer, graph, wrong):
    with pytest.raises(ValueError, match=rf"ids from .*, expected 0 to {tokenizer.vocab_size - 1}"):
        tokenizer.decode([5, wrong])
    with pytest.raises(tf.errors.InvalidArgumentError):
        graph[1](tf.ragged.constant([[5, wrong]], tf.int32))


def test_data_pipelines_take_the_graph(tokenizer):
    batches = tf.data.Dataset.from_tensor_slices(CORPUS).batch(2).map(tokenizer.encode_in_graph)
    assert [ids for batch in batches for ids in batch.to_list()] == [tokenizer.encode(text) for text in CORPUS]
