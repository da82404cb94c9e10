"""The one reduction of a step: the gradient of the mean loss over all ranks' samples."""

import numpy as np
import pytest
import tensorflow as tf

from tfdl.distributed import SingleWorld, reduce_gradients


def over_ranks(ranks, gradients, weights):
    """Each rank's reduced gradients as NumPy arrays."""
    world = ranks(len(weights))
    results = world.run(lambda rank: reduce_gradients(gradients[rank], tf.constant(weights[rank]), world))
    return [[None if value is None else np.asarray(value) for value in result] for result in results]


def test_alone_it_divides_by_the_weight():
    (found,) = reduce_gradients([tf.constant([2.0, 4.0])], tf.constant(4.0), SingleWorld())
    np.testing.assert_allclose(found, [0.5, 1.0])


def test_ranks_get_the_weighted_mean(ranks):
    gradients = [[tf.constant([1.0, 2.0]), tf.constant(3.0)], [tf.constant([5.0, 6.0]), tf.constant(9.0)]]
    for vector, scalar in over_ranks(ranks, gradients, [1.0, 3.0]):
        np.testing.assert_allclose(vector, [6 / 4, 8 / 4])
        np.testing.assert_allclose(scalar, 3.0)
        assert scalar.shape == ()


def test_a_rank_without_samples_takes_part(ranks):
    gradients = [[tf.constant([8.0])], [tf.constant([0.0])], [tf.constant([4.0])]]
    for (found,) in over_ranks(ranks, gradients, [2.0, 0.0, 1.0]):
        np.testing.assert_allclose(found, [4.0])


def test_without_any_weight_nothing_changes():
    """As in a batch whose values are all masked."""
    (found,) = reduce_gradients([tf.constant([0.0, 0.0])], tf.constant(0.0), SingleWorld())
    np.testing.assert_array_equal(found, [0.0, 0.0])


def test_none_stays_none(ranks):
    gradients = [[None, tf.constant([2.0]), None]] * 2
    for found in over_ranks(ranks, gradients, [1.0, 1.0]):
        assert found[0] is None
        assert found[2] is None
        np.testing.assert_allclose(found[1], [2.0])
    assert reduce_gradients([None], tf.constant(1.0), SingleWorld()) == [None]


def test_sparse_gradients_become_dense(ranks):
    first = tf.IndexedSlices(tf.constant([[1.0], [2.0]]), tf.constant([0, 0]), tf.constant([3, 1]))
    second = tf.IndexedSlices(tf.constant([[5.0]]), tf.constant([2]), tf.constant([3, 1]))
    for (found,) in over_ranks(ranks, [[first], [second]], [1.0, 1.0]):
        np.testing.assert_allclose(found, [[1.5], [0], [2.5]])
    (alone,) = reduce_gradients([first], tf.constant(2.0), SingleWorld())
    np.testing.assert_allclose(alone, [[1.5], [0], [0]])


def test_compression_rounds_gradients_and_no_weight(ranks):
    """Weights of 257 and 1 in 8 bits of mantissa would add up to 256 or 260; the gradients lose 1 part in 256."""
    world = ranks(2)
    draws = np.random.default_rng(0).normal(size=(2, 1000)).astype("float32")
    results = world.run(
        lambda rank: reduce_gradients(
            [tf.constant(draws[rank])], tf.constant([257.0, 1.0][rank]), world, wire_dtype="bfloat16"
        )
    )
    exact = draws.astype("float64").sum(0) / 258
    for (found,) in results:
        assert found.dtype == tf.float32
        error = np.abs(found - exact) * 258
        assert error.max() < 2**-8 * np.abs(draws).sum(0).max() * 2
        assert error.max() > 1e-4  # it was rounded
        np.testing.assert_allclose(np.median(np.asarray(found) / exact), 1, atol=1e-3)  # by the exact weight


def test_each_dtype_keeps_its_own(ranks):
    def gradients(value):
        return [tf.constant([value], dtype) for dtype in ("float64", "float32", "float16", "float64")]

    for found in over_ranks(ranks, [gradients(1.0), gradients(2.0)], [1.0, 1.0]):
        assert [value.dtype.name for value in found] == ["float64", "float32", "float16", "float64"]
        for value in found:
            np.testing.assert_allclose(value, [1.5])


def test_float64_is_reduced_in_float64(ranks):
    gradients = [[tf.constant([0.1], tf.float64)], [tf.constant([0.2], tf.float64)]]
    for (found,) in over_ranks(ranks, gradients, [1.0, 2.0]):
        np.testing.assert_allclose(found, [(0.1 + 0.2) / 3], rtol=1e-15)


@pytest.mark.parametrize("shapes", [[(2, 3), (), (4,), (1, 1, 2)], [(0, 3), (2,)]])
def test_shapes_and_order_stay(ranks, shapes):
    random = np.random.default_rng(0)
    values = [[random.normal(size=shape) for shape in shapes] for _ in range(2)]
    gradients = [[tf.constant(value) for value in mine] for mine in values]
    for found in over_ranks(ranks, gradients, [1.0, 1.0]):
        for value, first, second in zip(found, *values, strict=True):
            np.testing.assert_allclose(value, (first + second) / 2)
            assert value.shape == first.shape
