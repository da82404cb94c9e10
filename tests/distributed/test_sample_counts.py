"""The number of samples of an epoch, before it is read."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfdl.distributed.sample_counts import samples_in_epoch

SAMPLES = tf.data.Dataset.range(35)


@pytest.mark.parametrize(
    ("x", "options", "expected"),
    [
        (np.zeros((10, 3)), {}, 10),
        (np.zeros((10, 3)), {"validation_split": 0.3}, 7),
        (np.zeros((10, 3)), {"validation_split": 0.3, "validation_data": ()}, 10),
        (np.zeros((10, 3)), {"steps_per_epoch": 2}, None),
        ({"a": tf.zeros((6, 2)), "b": tf.zeros((6,))}, {}, 6),
        (None, {}, None),
        (iter([1]), {}, None),
        (SAMPLES.batch(16), {}, 35),
        (SAMPLES.batch(16, drop_remainder=True), {}, 32),
        (SAMPLES.shard(2, 1).shuffle(4).batch(16, num_parallel_calls=2).cache().prefetch(1), {}, 17),
        (SAMPLES.padded_batch(8), {}, 35),
        (SAMPLES, {}, None),  # of batches that something else has made
        (SAMPLES.batch(16).take(2), {}, None),
        (SAMPLES.batch(5).repeat(), {}, None),
        (SAMPLES.filter(lambda number: number > 2).batch(5), {}, None),
    ],
)
def test_samples_are_counted_where_they_can_be(x: Any, options: dict[str, Any], expected: int | None) -> None:
    given = {"x": x, "steps_per_epoch": None, "validation_split": 0.0, "validation_data": None, **options}
    assert samples_in_epoch(given) == expected
