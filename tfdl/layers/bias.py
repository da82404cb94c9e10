r"""Adds a bias whose gradient is summed in float32, whatever dtype the layer computes in.

$\partial L / \partial b$ is a sum over all rows: thousands of rows where each row is a step of a sequence. On a CPU
TensorFlow sums them in the dtype of the rows. In bfloat16 `tf.nn.bias_add` was measured to lose a fifth of a sum of 700
rows and 19 parts in 20 of a sum of 25,600 rows. In float16 `tf.reduce_sum` lost a sixth of the latter.
"""

from typing import Any

import tensorflow as tf


def add_bias(inputs: Any, bias: Any) -> Any:
    """Computes ``tf.nn.bias_add(inputs, bias)``, with the gradient of the bias summed in float32.

    Args:
        inputs: ``(..., units)``.
        bias: ``(units,)``, in the dtype of ``inputs``.

    Returns:
        ``(..., units)``, in the dtype of ``inputs``.
    """
    if inputs.dtype.size >= tf.float32.size:
        return tf.nn.bias_add(inputs, bias)

    @tf.custom_gradient
    def run(inputs: Any, bias: Any) -> Any:
        def backward(upstream: Any) -> Any:
            return upstream, bias_gradient(upstream)

        return tf.nn.bias_add(inputs, bias), backward

    return run(inputs, bias)


def bias_gradient(upstream: Any) -> Any:
    """Sums ``(..., units)`` over all axes but the last in float32 or wider, and rounds once.

    Args:
        upstream: gradient of the layer's outputs, ``(..., units)``.

    Returns:
        ``(units,)``, in the dtype of ``upstream``.
    """
    wide = tf.float32 if upstream.dtype.size < tf.float32.size else upstream.dtype
    # The kernel for biases sums columns in 0.6 of the time of a general sum.
    # A product with a row of ones is quicker still with oneDNN's bfloat16. But it rounds twice without oneDNN, and it
    # takes XLA four times as long.
    total = tf.raw_ops.BiasAddGrad(out_backprop=tf.cast(upstream, wide))  # (units,)
    return tf.cast(total, upstream.dtype)
