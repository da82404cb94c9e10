r"""The Gaussian error linear unit (Hendrycks and Gimpel, 2016, https://arxiv.org/abs/1606.08415), in few kernels.

The gradients are written out here. TensorFlow derives them from each kernel of its own version, so it passes over
memory more often and keeps more for the backward pass. 16-bit inputs are computed in float32, which is also faster on a
CPU.
"""

import math
from typing import Any

import tensorflow as tf

# gelu(x) = x * sigmoid(2u) with u = sqrt(2 / pi) * (x + 0.044715 x^3), and 2u = x * (_LINEAR + _CUBIC * x^2).
_LINEAR = 2 * math.sqrt(2 / math.pi)
_CUBIC = 0.044715 * _LINEAR


def gelu(inputs: Any) -> Any:
    r"""The approximation with $\tanh$, as in GPT-2.

    $$y = \tfrac12 x \left(1 + \tanh\left(\sqrt{2 / \pi}\, (x + 0.044715\, x^3)\right)\right)$$

    It is computed as $x \cdot \mathrm{sigmoid}(2u)$, which is equal, with $u$ the argument of $\tanh$.

    Args:
        inputs: floating-point tensor of any shape.

    Returns:
        A tensor of the shape and dtype of ``inputs``.
    """

    @tf.custom_gradient
    def run(inputs: Any) -> Any:
        x = _at_least_float32(inputs)
        gate = tf.sigmoid(x * (_LINEAR + _CUBIC * tf.square(x)))

        def backward(upstream: Any) -> Any:
            x = _at_least_float32(inputs)  # cast again: keeping a float32 copy would take more memory
            d_outputs = _at_least_float32(upstream)
            d_gate = tf.raw_ops.SigmoidGrad(y=gate, dy=d_outputs * x)
            d_inputs = d_outputs * gate + d_gate * (_LINEAR + 3 * _CUBIC * tf.square(x))
            return tf.cast(d_inputs, inputs.dtype)

        return tf.cast(x * gate, inputs.dtype), backward

    return run(tf.convert_to_tensor(inputs))


def gelu_exact(inputs: Any) -> Any:
    r"""$y = x\, \Phi(x)$ with the normal distribution's $\Phi(x) = \frac12 (1 + \mathrm{erf}(x / \sqrt2))$, as in BERT.

    Args:
        inputs: floating-point tensor of any shape.

    Returns:
        A tensor of the shape and dtype of ``inputs``.
    """

    @tf.custom_gradient
    def run(inputs: Any) -> Any:
        x = _at_least_float32(inputs)
        probability = 0.5 + 0.5 * tf.math.erf(x * math.sqrt(0.5))  # Phi(x)

        def backward(upstream: Any) -> Any:
            x = _at_least_float32(inputs)  # cast again: keeping a float32 copy would take more memory
            density = tf.exp(-0.5 * tf.square(x)) * (1 / math.sqrt(2 * math.pi))
            d_inputs = _at_least_float32(upstream) * (probability + x * density)
            return tf.cast(d_inputs, inputs.dtype)

        return tf.cast(x * probability, inputs.dtype), backward

    return run(tf.convert_to_tensor(inputs))


def _at_least_float32(values: Any) -> Any:
    return tf.cast(values, tf.float32) if values.dtype.size < 4 else values
