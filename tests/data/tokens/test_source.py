"""Batches of texts: about equal lengths together, framed, cut and padded at the end."""

import numpy as np
import pytest
import tensorflow as tf

from tfdl.data import training_batches
from tfdl.data.pipeline import WEIGHT, evaluation_batches
from tfdl.data.tokens.source import Frame, TokenSource, padded_lengths
from tfdl.data.tokens.table import TokenColumn

START = 1
END = 2


def column(texts, dtype=np.uint8):
    flat = np.concatenate([np.zeros(0, dtype), *(np.array(text, dtype) for text in texts)])
    return TokenColumn(flat, np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64))


def read(source, *indices):
    return {role: value.numpy().tolist() for role, value in source.read(tf.constant(indices, tf.int64)).items()}


@pytest.fixture(scope="module")
def texts():
    generator = np.random.default_rng(0)
    return [generator.integers(3, 200, length).tolist() for length in generator.integers(0, 90, 101)]


def source_of(texts, longest=200, memory_limit_mb=1, **columns):
    frames = {"text": Frame(longest, before=START)}
    return TokenSource({"text": column(texts), **columns}, frames, memory_limit_mb)


def test_a_batch_by_hand():
    columns = {"source": column([[5, 6, 7], [], [8]]), "target": column([[4], [9, 10], []])}
    frames = {"source": Frame(100, after=END), "target": Frame(100, before=START, after=END)}
    source = TokenSource({**columns, "label": np.array([7, 8, 9], np.int32)}, frames, 1)
    assert read(source, 2, 0) == {
        "source": [[8, 2, 0, 0, 0, 0, 0, 0], [5, 6, 7, 2, 0, 0, 0, 0]],
        "target": [[1, 2, 0, 0, 0, 0, 0, 0], [1, 4, 2, 0, 0, 0, 0, 0]],
        "label": [9, 7],
    }
    assert read(source, 1)["source"] == [[2, 0, 0, 0, 0, 0, 0, 0]]
    assert source.lengths.tolist() == [4 + 3, 1 + 4, 2 + 2]


def test_long_texts_are_cut_and_counted():
    source = source_of([[5] * 3, [6] * 4, [7] * 5], longest=4)
    assert read(source, 0, 1, 2)["text"] == [[1, 5, 5, 5], [1, 6, 6, 6], [1, 7, 7, 7]]
    assert source.num_cut == 2
    assert source_of([[5] * 3], longest=4).num_cut == 0
    ended = TokenSource({"text": column([[5] * 9])}, {"text": Frame(4, after=END)}, 1)
    assert read(ended, 0)["text"] == [[5, 5, 5, 2]]


def test_a_split_of_empty_texts():
    for limit in (0, 1):
        assert read(source_of([[], []], memory_limit_mb=limit), 1, 0)["text"] == [[1] + [0] * 7] * 2


def test_from_disk_as_from_memory(texts, tmp_path):
    np.save(tmp_path / "tokens.npy", column(texts).tokens)
    mapped = TokenColumn(np.load(tmp_path / "tokens.npy", mmap_mode="r"), column(texts).starts)
    disk = TokenSource({"text": mapped}, {"text": Frame(50, before=START)}, 0)
    memory = source_of(texts, longest=50)
    graphs = {}
    for name, source in (("disk", disk), ("memory", memory)):
        traced = tf.function(source.read, input_signature=[tf.TensorSpec([None], tf.int64)]).get_concrete_function()
        graphs[name] = {operation.type for operation in traced.graph.get_operations()}
    assert "PyFuncStateless" in graphs["disk"]
    assert not {"PyFunc", "PyFuncStateless", "EagerPyFunc"} & graphs["memory"]
    for indices in ([3, 99, 0], [100], range(101)):
        assert read(disk, *indices) == read(memory, *indices)


def test_lengths_are_few_and_near():
    padded = padded_lengths(512)
    lengths = np.arange(513)
    assert (padded >= lengths).all()
    assert (padded[1:] >= 8).all()
    assert (padded[65:] <= 1.25 * lengths[65:]).all()
    assert (padded[:65] - lengths[:65] <= 8).all()
    assert len(set(padded)) == 20
    assert set(padded_lengths(5)) == {5}  # never above what the model has positions for


def tokens_of(batch):
    """Texts of a batch, without start and padding."""
    return [tuple(token for token in row[1:] if token) for row in batch["text"].tolist()]


@pytest.mark.parametrize("shards", [1, 3])
def test_an_epoch_has_every_sample_once(texts, shards):
    source = source_of(texts, label=np.arange(101, dtype=np.int32))
    steps = -(-101 // (4 * shards))
    seen = []
    for shard in range(shards):
        batches = training_batches(source, batch_size=4, seed=1, shard_index=shard, num_shards=shards)
        for batch in batches.take(steps).as_numpy_iterator():
            assert (batch["text"][:, 0] == START).all()
            for label, tokens, weight in zip(batch["label"], tokens_of(batch), batch[WEIGHT], strict=True):
                if weight > 0:
                    seen.append((label, tokens))
    assert sorted(label for label, _ in seen) == list(range(101))
    assert all(list(tokens) == texts[label] for label, tokens in seen)


def test_batches_are_of_texts_of_about_equal_length(texts):
    source = source_of(texts * 5)
    batches = list(training_batches(source, batch_size=8, seed=0).take(60).as_numpy_iterator())
    num_with_padding = sum(batch["text"].size for batch in batches)
    num_tokens = sum(np.count_nonzero(batch["text"]) for batch in batches)
    assert num_with_padding < 1.35 * num_tokens  # in random batches it would be nearly twice as much


def test_an_evaluation_has_every_sample_once_and_no_more_tokens_than_it_may(texts):
    source = source_of(texts)
    pieces = source.evaluation_pieces(16, 400)
    assert sorted(np.concatenate(pieces)) == list(range(101))
    assert all(len(piece) <= 16 and len(piece) * source.lengths[piece].max() <= 400 for piece in pieces)
    assert source.evaluation_pieces(7, 1)[0].tolist() == [int(np.argmax(source.lengths))]  # one is always allowed
    of_shards = []
    for shard in range(3):
        batches = evaluation_batches(source, batch_size=16, most_tokens=400, shard_index=shard, num_shards=3)
        for batch in batches.as_numpy_iterator():
            of_shards += tokens_of(batch)
    assert sorted(of_shards) == sorted(map(tuple, texts))


class Rows(list):
    num_examples = 10
    fingerprint = ""


def test_a_part_is_spread_over_the_split():
    rows = Rows({"text": f"text {number}"} for number in range(10))
    source = TokenSource({"text": column([[3] * number for number in range(10)])}, {"text": Frame(20, END)}, 1, rows)
    part = source.spread(4)
    assert part.samples.tolist() == [0, 2, 5, 7]
    assert np.concatenate(part.evaluation_pieces(3)).tolist() == [7, 5, 2, 0]
    assert part.texts("text")["text"].tolist() == ["text 0", "text 2", "text 5", "text 7"]
    assert source.spread(99).samples.tolist() == list(range(10))
    assert len(source.samples) == 10
