"""Data sets of texts as rows, and their tokens on disk."""

import itertools
import os

import numpy as np
import pytest

from tfdl.config import DatasetConfig, TrainConfig
from tfdl.data.opening import open_texts
from tfdl.data.order import order_by_length
from tfdl.data.tokenizers import ByteTokenizer
from tfdl.data.tokens.table import token_table
from tfdl.errors import UserError
from tfdl.tasks.tokens import open_tokens


@pytest.fixture(scope="module")
def dates(data_dir):
    return open_texts(DatasetConfig("dates", str(data_dir)), ("source", "target"))


@pytest.fixture(scope="module")
def docstrings(data_dir):
    return open_texts(DatasetConfig("docstrings", str(data_dir)), ("text", "label"))


def test_rows_have_roles_and_always_the_same_order(dates):
    split = dates.splits["validation"]
    rows = list(split)
    assert len(rows) == split.num_examples == 1000
    assert all(set(row) == {"source", "target"} for row in rows)
    assert rows == list(split)
    assert all(len(row["target"]) == 10 for row in rows)


def test_labels_are_numbers_of_names(docstrings):
    assert "asyncio" in docstrings.class_names
    labels = {row["label"] for row in docstrings.splits["train"]}
    assert labels == set(range(len(docstrings.class_names)))


def test_fingerprints_tell_splits_and_columns_apart(dates, docstrings, data_dir):
    part = open_texts(
        DatasetConfig(
            "dates", str(data_dir), train_split="train[:50%]", validation_split="validation", test_split="test"
        ),
        ("source", "target"),
    )
    splits = [*dates.splits.values(), *docstrings.splits.values(), part.splits["train"]]
    assert len({split.fingerprint for split in splits}) == len(splits)
    swapped = DatasetConfig("dates", str(data_dir), source_column="target", target_column="source")
    other = open_texts(swapped, ("source", "target")).splits["train"]
    assert other.fingerprint != dates.splits["train"].fingerprint
    assert next(iter(other))["source"] == next(iter(dates.splits["train"]))["target"]


def test_a_column_that_is_not_there(data_dir):
    with pytest.raises(UserError, match="'sorce'"):
        open_texts(DatasetConfig("dates", str(data_dir), source_column="sorce"), ("source", "target"))


def test_a_table_holds_every_row_s_tokens(docstrings):
    split = docstrings.splits["test"]
    tokenizer = ByteTokenizer()
    table = token_table(split, ("text", "label"), tokenizer, None)
    rows = list(split)
    column = table["text"]
    assert table["label"].tolist() == [row["label"] for row in rows]
    assert len(column) == len(rows)
    assert column.tokens.dtype == np.uint16  # 259 of them
    pieces = [column.tokens[begin:end] for begin, end in itertools.pairwise(column.starts)]
    assert [tokenizer.decode(piece) for piece in pieces] == [row["text"] for row in rows]
    assert column.lengths.tolist() == list(map(len, pieces))


def test_tokens_are_kept_and_read_again(dates, tmp_path, monkeypatch):
    split = dates.splits["test"]
    tokenizer = ByteTokenizer()
    first = token_table(split, ("source", "target"), tokenizer, tmp_path)

    def never(_):
        raise AssertionError("the rows were read again")

    monkeypatch.setattr(type(split), "__iter__", never)
    again = token_table(split, ("source", "target"), tokenizer, tmp_path)
    for role in ("source", "target"):
        np.testing.assert_array_equal(first[role].tokens, again[role].tokens)
        np.testing.assert_array_equal(first[role].starts, again[role].starts)
    with pytest.raises(AssertionError, match="read again"):
        token_table(split, ("target",), tokenizer, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_where_nothing_can_be_kept_tokens_are_made_anew(dates, tmp_path):
    tmp_path.chmod(0o500)
    assert len(token_table(dates.splits["test"], ("source",), ByteTokenizer(), tmp_path)["source"]) == 1000


def test_a_folder_that_is_a_file_keeps_nothing(dates, tmp_path):
    (tmp_path / "file").write_text("")
    assert len(token_table(dates.splits["test"], ("source",), ByteTokenizer(), tmp_path / "file")["source"]) == 1000


@pytest.mark.usefixtures("data_dir")
def test_a_resumed_run_takes_its_own_tokenizer(tmp_path):
    config = TrainConfig(task="translation", tokenizer="character")
    learned = open_tokens(config, ("source", "target"), None)
    learned.tokenizer.save(tmp_path / "tokenizer")
    other = config.replace(tokenizer="byte")
    again = open_tokens(other, ("source", "target"), tmp_path)
    assert again.tokenizer.vocab_size == learned.tokenizer.vocab_size
    np.testing.assert_array_equal(again.splits["test"]["target"].tokens, learned.splits["test"]["target"].tokens)


def test_batches_by_length_hold_samples_of_about_equal_length_and_each_once():
    lengths = np.random.default_rng(0).integers(1, 100, 1013)
    order = order_by_length(lengths, seed=1, epoch=2, global_batch=16)
    assert sorted(order) == list(range(1013))
    batches = [lengths[order[begin : begin + 16]] for begin in range(0, 1013, 16)]
    padded = sum(len(batch) * batch.max() for batch in batches)
    assert padded < 1.1 * lengths.sum()
    shuffled = np.random.default_rng(1).permutation(lengths)
    shuffled_batches = [shuffled[begin : begin + 16] for begin in range(0, 1013, 16)]
    padded_shuffled = sum(len(batch) * batch.max() for batch in shuffled_batches)
    assert padded_shuffled > 1.6 * lengths.sum()
    means = np.array([batch.mean() for batch in batches[:50]])
    assert abs(np.corrcoef(means, np.arange(50))[0, 1]) < 0.4  # short ones do not come first
    np.testing.assert_array_equal(order, order_by_length(lengths, seed=1, epoch=2, global_batch=16))
    assert not np.array_equal(order, order_by_length(lengths, seed=1, epoch=3, global_batch=16))
