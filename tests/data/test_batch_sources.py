"""A split in memory and a split on disk give the same batches."""

import numpy as np
import pytest
import tensorflow as tf

from tfdl.config import DatasetConfig
from tfdl.data import ArraySource, RecordSource, evaluation_batches, open_images, training_batches
from tfdl.data.pipeline import load_into_memory


@pytest.fixture(scope="module", params=[None, (12, 9)], ids=["own size", "resized"])
def sources(request, data_dir):
    """The training split from memory and from disk."""
    config = {"name": "digits", "data_dir": str(data_dir), "image_size": request.param}
    in_memory = open_images(DatasetConfig(**config)).sources["train"]
    on_disk = open_images(DatasetConfig(**config, memory_limit_mb=0)).sources["train"]
    assert isinstance(in_memory, ArraySource)
    assert isinstance(on_disk, RecordSource)
    return in_memory, on_disk


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
        assert first[name].dtype == second[name].dtype


def test_any_samples(sources):
    for indices in ([5, 1436, 5, 0], [], [7]):
        assert_same(*(source.read(tf.constant(indices, tf.int64)) for source in sources))


def test_training_batches(sources):
    streams = (training_batches(source, batch_size=300, seed=3).take(7) for source in sources)  # more than an epoch
    for first, second in zip(*(stream.as_numpy_iterator() for stream in streams), strict=True):
        assert_same(first, second)


def test_evaluation_batches(sources):
    streams = (evaluation_batches(source, batch_size=500) for source in sources)
    for first, second in zip(*(stream.as_numpy_iterator() for stream in streams), strict=True):
        assert_same(first, second)


def test_a_whole_split_decoded_once(sources):
    on_disk = sources[1]
    held = load_into_memory(on_disk, batch_size=100)
    assert held.num_examples == 1437
    some = tf.range(0, 1437, 97, dtype=tf.int64)
    assert_same(held.read(some), on_disk.read(some))
