"""A ``tf.data.Dataset`` as a source."""

import numpy as np
import pytest
import tensorflow as tf

from tfdl.data.objects.splits import split_sources
from tfdl.data.objects.tf_dataset import StreamSource
from tfdl.data.pipeline import evaluation_batches
from tfdl.data.python_reading import taken
from tfdl.errors import UserError

ROLES = ("x", "y")


def dataset_of(count=50):
    x = np.arange(count)
    texts = [f"text {number}" for number in range(count)]
    return tf.data.Dataset.from_tensor_slices((x, texts))


def values_of(source, name):
    batches = taken(evaluation_batches(source, batch_size=8).as_numpy_iterator())
    return np.concatenate([batch[name] for batch in batches]).tolist()


@pytest.mark.parametrize("memory_limit_mb", [0, 1024])
def test_splits_are_the_same_in_memory_and_read_again(memory_limit_mb):
    sources = split_sources({"train": dataset_of()}, ROLES, memory_limit_mb)
    assert isinstance(sources["train"], StreamSource) == (memory_limit_mb == 0)
    everything = [value for source in sources.values() for value in values_of(source, "x")]
    assert sorted(everything) == list(range(50))
    assert len(values_of(sources["train"], "x")) == 40
    for source in sources.values():
        values = values_of(source, "x")
        assert values == sorted(values)
        assert values_of(source, "y") == [f"text {number}".encode() for number in values]
        assert source.epoch_order(0, 3, 8).tolist() == list(range(len(values)))


def test_samples_are_read_in_any_order():
    source = split_sources({"train": dataset_of(), "validation": dataset_of()}, ROLES, 0)["train"]
    assert source.read(np.array([7, 8, 3, 49, 0]))["x"].numpy().tolist() == [7, 8, 3, 49, 0]


def test_a_data_set_that_fails_in_a_later_pass():
    passes = []

    def samples():
        passes.append(None)
        for number in range(50 if len(passes) <= 2 else 20):  # two passes are compared
            yield number, "text"

    types = (tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.string))
    dataset = tf.data.Dataset.from_generator(samples, output_signature=types)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(50))
    source = split_sources({"train": dataset, "validation": dataset_of()}, ROLES, 0)["train"]
    with pytest.raises(UserError, match=r"data\['train'\] fails while it is read.*contained only 20 elements"):
        values_of(source, "x")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (dataset_of().batch(5), "expected single samples of one known shape"),
        (dataset_of().repeat(), "never ends"),
        (dataset_of().filter(lambda x, _: x > 3), "unknown number of samples"),
        (dataset_of(0), "no samples"),
        (dataset_of().shuffle(50), "two passes over data.* differ at sample"),
    ],
)
def test_bad_data_sets(dataset, message):
    with pytest.raises(UserError, match=message):
        split_sources({"train": dataset}, ROLES, 1024)
