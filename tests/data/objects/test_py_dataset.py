"""A ``keras.utils.PyDataset`` as a source."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.data import ShuffledSource
from tfdl.data.objects.splits import split_sources
from tfdl.data.pipeline import evaluation_batches
from tfdl.data.python_reading import taken
from tfdl.errors import UserError

ROLES = ("x", "y")


class Batches(keras.utils.PyDataset):
    """Batches of four samples, the last one of ``last``; counts how often each is made."""

    def __init__(self, count=20, last=2, size_of_second=4):
        super().__init__()
        self.made = [0] * count
        self._sizes = [4] * (count - 1) + [last]
        self._sizes[1] = size_of_second

    def __len__(self):
        return len(self._sizes)

    def __getitem__(self, index):
        self.made[index] += 1
        first = sum(self._sizes[:index])
        x = np.arange(first, first + self._sizes[index])
        return x, 2 * x


class Endless(Batches):
    @property
    def num_batches(self):
        return None


def sources_of(dataset):
    return split_sources({"train": dataset}, ROLES, 1024)


def values_of(source, name):
    batches = taken(evaluation_batches(source, batch_size=3).as_numpy_iterator())
    return np.concatenate([batch[name] for batch in batches]).tolist()


def test_whole_batches_are_held_out():
    sources = sources_of(Batches())
    everything = [value for source in sources.values() for value in values_of(source, "x")]
    assert sorted(everything) == list(range(78))
    assert sources["validation"].num_examples in (6, 8)
    for source in sources.values():
        assert values_of(source, "y") == [2 * value for value in values_of(source, "x")]


def test_an_epoch_makes_each_batch_once():
    dataset = Batches()
    source = split_sources({"train": dataset, "validation": dataset}, ROLES, 1024)["train"]
    order = source.epoch_order(0, 1, 8)
    assert sorted(order) == list(range(78))
    assert order.tolist() != list(range(78))
    dataset.made = [0] * 20
    for begin in range(0, 78, 8):
        source.read(order[begin : begin + 8])
    assert max(dataset.made) == 1


def test_batches_of_unequal_sizes():
    dataset = Batches(size_of_second=3)
    source = split_sources({"train": dataset, "validation": dataset}, ROLES, 1024)["train"]
    with pytest.raises(UserError, match=r"batch 1 of data.*: x has 3, y has 3 rows, expected 4 in each but the last"):
        values_of(source, "x")


@pytest.mark.parametrize("odd", [1, 10, 19])  # one that is read in training only, the middle one, the last one
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full(2, 0.5), "x has the dtype float64, expected int64 as in batch 0"),
        (np.zeros((2, 5), int), r"the samples of x have the shape \(5,\), expected \(\) as in batch 0; pad all"),
    ],
)
def test_a_batch_that_is_not_like_the_first(odd, values, message):
    class Odd(Batches):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            if index == odd:
                x = np.resize(values, (len(x), *values.shape[1:]))
            return x, y

    with pytest.raises(UserError, match=rf"batch {odd} of data\['train'\]: {message}"):
        values_of(split_sources({"train": Odd(), "validation": Batches()}, ROLES, 1024)["train"], "x")


def test_whole_numbers_among_fractions_keep_their_values():
    class Mixed(Batches):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return (x if index % 2 else x / 2), [f"{value:0{index + 1}}" for value in y]  # texts of many lengths

    source = split_sources({"train": Mixed(), "validation": Mixed()}, ROLES, 1024)["train"]
    expected = np.arange(78.0)
    expected[np.arange(78) // 4 % 2 == 0] /= 2
    assert values_of(source, "x") == expected.tolist()
    assert values_of(source, "y")[-1] == b"154".rjust(20, b"0")


def test_training_ends_with_the_error_itself(tmp_path):
    model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
    model.compile("sgd", "mse")

    class Columns(Batches):
        def __getitem__(self, index):
            return tuple(values[:, np.newaxis].astype(np.float32) for values in super().__getitem__(index))

    data = {"train": Columns(size_of_second=3), "validation": Columns()}
    with pytest.raises(UserError, match=r"^batch 1 of data\['train'\]: x has 3, y has 3 rows"):
        tfdl.train(tfdl.TrainConfig(epochs=1, batch_size=8), tmp_path / "run", model=model, data=data)


def test_a_source_of_the_user_raises_its_own_error():
    class Broken(ShuffledSource):
        num_examples = 8

        def read(self, indices):
            return {"x": tf.numpy_function(self._fail, [indices], tf.int64)}

        def _fail(self, _):
            raise UserError("no such sample: [3]\nexpected 4")

    with pytest.raises(UserError, match=r"^no such sample: \[3\]\nexpected 4$"):
        values_of(Broken(), "x")


def test_a_data_set_that_never_ends():
    with pytest.raises(UserError, match=r"data\['train'\] never ends, expected a known number of batches"):
        sources_of(Endless())
