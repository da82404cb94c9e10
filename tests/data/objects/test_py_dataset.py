"""A ``keras.utils.PyDataset`` as a source."""

import keras
import numpy as np
import pytest

from tfdl.data.objects.splits import split_sources
from tfdl.data.pipeline import evaluation_batches
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
    batches = evaluation_batches(source, batch_size=3).as_numpy_iterator()
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
    with pytest.raises(Exception, match=r"batch 1 of data.*: x has 3, y has 3 rows, expected 4 in each but the last"):
        values_of(source, "x")


def test_a_data_set_that_never_ends():
    with pytest.raises(UserError, match=r"data\['train'\] never ends, expected a known number of batches"):
        sources_of(Endless())
