"""Arrays that Python code passes, as sources."""

import numpy as np
import pytest

from tfdl.data.objects.splits import split_sources
from tfdl.data.pipeline import evaluation_batches
from tfdl.errors import UserError

ROLES = ("x", "y")


class Column:
    """A column of a table whose rows have other keys than 0, 1, 2, as pandas has after a shuffle."""

    def __init__(self, values):
        self._values = values

    def __len__(self):
        return len(self._values)

    def __getitem__(self, key):
        raise KeyError(key)

    def __array__(self, dtype=None, copy=None):
        return np.array(self._values, dtype)


def sources_of(x, y):
    return split_sources({"train": (x, y)}, ROLES, 1024)


def values_of(source, name):
    batches = evaluation_batches(source, batch_size=8).as_numpy_iterator()
    return np.concatenate([batch[name] for batch in batches]).tolist()


def test_training_arrays_are_cut_into_three_splits():
    sources = sources_of(np.arange(50), np.arange(50) * 2)
    assert {split: source.num_examples for split, source in sources.items()} == {
        "train": 40,
        "validation": 5,
        "test": 5,
    }
    assert sorted(value for source in sources.values() for value in values_of(source, "x")) == list(range(50))
    for source in sources.values():
        assert values_of(source, "y") == [2 * value for value in values_of(source, "x")]


def test_a_column_of_a_table_is_cut_by_place_and_not_by_key():
    sources = sources_of(Column(list(range(50))), Column([f"text {number}" for number in range(50)]))
    assert sources["train"].num_examples == 40
    for source in sources.values():
        assert values_of(source, "y") == [f"text {number}".encode() for number in values_of(source, "x")]


def test_texts_keep_zeros_at_their_end():
    texts = [b"a\0", b"b\0\0"]
    data = {split: (np.arange(2), texts) for split in ("train", "validation")}
    sources = split_sources(data, ROLES, 1024)
    assert values_of(sources["train"], "y") == texts


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2], [1], "different lengths: x has 2, y has 1"),
        ([], [], "no samples"),
        ([[1], [1, 2]], [1, 2], "x of data.* is not an array"),
        ([None, None], [1, 2], "x of data.* is list of dtype object, expected an array of numbers or texts"),
        (3, [1], "x of data.* is int of dtype int64"),
    ],
)
def test_bad_arrays(x, y, message):
    with pytest.raises(UserError, match=message):
        sources_of(x, y)


ONE = np.arange(30.0)
TWO = np.arange(60.0).reshape(30, 2)


@pytest.mark.parametrize(
    ("x", "y", "names"),
    [
        ([ONE, TWO], ONE, ["x/0", "x/1", "y"]),
        ([ONE, TWO], {"a": ONE}, ["x/0", "x/1", "y/a"]),
        (ONE, [ONE, TWO], ["x", "y/0", "y/1"]),
        ([ONE, TWO], [ONE], ["x/0", "x/1", "y/0"]),
        ([ONE] * 30, list(range(30)), None),
        ([ONE] * 10, list(range(10)), ["x", "y"]),
        ([ONE, TWO], [TWO, ONE], ["x/0", "x/1", "y/0", "y/1"]),
        ([ONE] * 10, [TWO] * 10, None),
        ([ONE] * 10, [TWO[:5]] * 10, ["x", "y"]),
    ],
)
def test_a_list_of_arrays_is_several_arrays_if_these_have_the_rows_of_the_others(x, y, names):
    if names is None:
        with pytest.raises(UserError, match=r"a list of .* arrays of 30 rows, which may be several arrays or one"):
            sources_of(x, y)
    else:
        assert sorted(sources_of(x, y)["train"].signature) == names
