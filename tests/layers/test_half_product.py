"""Products with weights in bfloat16 against the exact products."""

import numpy as np
import pytest
import tensorflow as tf

from tfdl.layers import half_product
from tfdl.layers.half_product import HalfWeights


@pytest.mark.parametrize("shape", [(1, 1, 64), (8, 1, 64), (2, 3, 64)])
@pytest.mark.parametrize("is_known", [True, False])
def test_the_product_is_that_of_the_rounded_weights(shape, is_known):
    """On CPUs with and without instructions for bfloat16, of which a test sees one."""
    generator = np.random.default_rng(0)
    kernel = generator.normal(size=(50, 64)).astype(np.float32)
    inputs = generator.normal(size=shape).astype(np.float32)
    signature = [tf.TensorSpec(shape if is_known else [None, None, 64], tf.float32)]
    product = tf.function(HalfWeights(kernel).product, input_signature=signature, autograph=False)
    found = product(inputs)
    assert found.dtype == tf.float32
    if is_known:
        assert found.shape == (*shape[:2], 50)
    expected = _rounded(inputs) @ _rounded(kernel).T
    # One rounding of the sum, to 8 bits.
    np.testing.assert_allclose(found, expected, rtol=2**-8, atol=1e-4)


def test_logits_far_from_zero_keep_their_differences():
    """A trained GPT-2 has logits near -100, where numbers of bfloat16 are 0.5 apart."""
    generator = np.random.default_rng(0)
    kernel = generator.normal(0, 0.1, (500, 64)).astype(np.float32)
    kernel[:, 0] -= 10
    inputs = generator.normal(size=(4, 64)).astype(np.float32)
    inputs[:, 0] = 10
    exact = inputs @ kernel.T
    assert exact.max() < -90
    found = HalfWeights(kernel, centered=True).product(tf.constant(inputs)).numpy()
    assert abs(found - exact).max() < 0.1
    plain = HalfWeights(kernel).product(tf.constant(inputs)).numpy()
    assert abs(plain - exact).max() > 0.2  # the control


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_the_outputs_have_the_dtype_of_the_inputs(dtype):
    product = HalfWeights(np.ones((5, 4), np.float32), centered=True).product(tf.ones([2, 4], dtype))
    assert product.dtype.name == dtype
    np.testing.assert_array_equal(product, np.full((2, 5), 4.0))


def _rounded(values):
    return tf.cast(tf.cast(values, tf.bfloat16), tf.float32).numpy()


def test_without_instructions_for_bfloat16_the_product_is_the_same(monkeypatch):
    generator = np.random.default_rng(0)
    kernel = generator.normal(size=(50, 256)).astype(np.float32)
    inputs = tf.constant(generator.normal(size=(4, 256)).astype(np.float32))
    monkeypatch.setattr(half_product, "sums_are_float32", lambda: False)
    found = HalfWeights(kernel).product(inputs)
    np.testing.assert_allclose(found, _rounded(inputs) @ _rounded(kernel).T, rtol=2**-8, atol=1e-4)
