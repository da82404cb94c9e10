r"""The Gaussian error linear unit (Hendrycks and Gimpel, 2016, https://arxiv.org/abs/1606.08415), in few kernels.

TensorFlow's own takes more passes over memory and keeps more for the backward pass: its gradient is that of each of its
kernels, where here it is written out. 16-bit inputs are computed in float32, which on a CPU is quicker too.
"""

import math
from typing import Any

import tensorflow as tf

# gelu(x) = x sigmoid(2u) with u = sqrt(2 / pi) (x + 0.044715 x^3); 2u = x (A + B x^2)
_A = 2 * math.sqrt(2 / math.pi)
_B = 0.044715 * _A


def gelu(inputs: Any) -> Any:
    r"""The approximation with $\tanh$, as in GPT-2.

    $$y = \tfrac12 x \left(1 + \tanh\left(\sqrt{2 / \pi}\, (x + 0.044715\, x^3)\right)\right)$$

    computed as $x \cdot \mathrm{sigmoid}(2u)$, which is the same, with $u$ the argument of $\tanh$.

    Args:
        inputs: floating point, of any shape.

    Returns:
        A tensor of the shape and dtype of ``inputs``.
    """

    @tf.custom_gradient
    def run(inputs: Any) -> Any:
        x = _wide(inputs)
        gate = tf.sigmoid(x * (_A + _B * tf.square(x)))

        def backward(upstream: Any) -> Any:
            x, slope = _wide(inputs), _wide(upstream)
            by_gate = tf.raw_ops.SigmoidGrad(y=gate, dy=slope * x)
            return tf.cast(slope * gate + by_gate * (_A + 3 * _B * tf.square(x)), inputs.dtype)

        return tf.cast(x * gate, inputs.dtype), backward

    return run(tf.convert_to_tensor(inputs))


def gelu_exact(inputs: Any) -> Any:
    r"""$y = x\, \Phi(x)$ with the normal distribution's $\Phi(x) = \frac12 (1 + \mathrm{erf}(x / \sqrt2))$.

    Args:
        inputs: floating point, of any shape.

    Returns:
        A tensor of the shape and dtype of ``inputs``.
    """

    @tf.custom_gradient
    def run(inputs: Any) -> Any:
        x = _wide(inputs)
        below = 0.5 + 0.5 * tf.math.erf(x * math.sqrt(0.5))

        def backward(upstream: Any) -> Any:
            x = _wide(inputs)
            density = tf.exp(-0.5 * tf.square(x)) * (1 / math.sqrt(2 * math.pi))
            return tf.cast(_wide(upstream) * (below + x * density), inputs.dtype)

        return tf.cast(x * below, inputs.dtype), backward

    return run(tf.convert_to_tensor(inputs))


def _wide(values: Any) -> Any:
    return tf.cast(values, tf.float32) if values.dtype.size < 4 else values
