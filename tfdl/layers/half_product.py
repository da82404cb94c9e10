r"""Products with weights in bfloat16, for decoding: a step then reads half of the memory.

A step of decoding multiplies few rows by every weight of the model, so reading the weights takes most of its time. The
weights are rounded to bfloat16 once. Sums are computed in float32, and rounded to bfloat16 when they are written.

oneDNN does that on CPUs with instructions for bfloat16. On others, TensorFlow's own kernel rounds partial sums, too.
There the weights become float32 for each product, which is exact and was measured to take the same time.

oneDNN packs the second matrix of a product before it multiplies. So the weights are the first matrix, and the rows the
second: with 8 rows the product was measured to take 0.6 of the time of the other order, on a CPU with AMX. It has a
slow kernel for a single row, so there are at least two.
"""

from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.layers.dynamic_shape import dynamic_shape

_FEWEST_ROWS = 2


class HalfWeights:
    r"""A kernel in bfloat16.

    Logits get special care. Those of a trained model lie far from zero, where bfloat16 is coarse, but near each other.
    With $\bar w$ the mean of the kernel's columns, $x W = x (W - \bar w) + x \bar w$. The first product is small. The
    second is one number for each row, and is computed in float32.

    Args:
        kernel: ``(n, k)``, one row for each output.
        centered: whether to compute the outputs' common part in float32, as for logits.
    """

    def __init__(self, kernel: Any, *, centered: bool = False):
        kernel = tf.cast(kernel, tf.float32)
        self._mean = tf.reduce_mean(kernel, 0, keepdims=True) if centered else None  # (1, k)
        rest = kernel if self._mean is None else kernel - self._mean
        self._rest = tf.Variable(tf.cast(rest, tf.bfloat16), trainable=False)  # (n, k)

    def product(self, inputs: Any) -> Any:
        """Multiplies ``(..., k)`` to ``(..., n)``, in the dtype of the inputs.

        Args:
            inputs: of any floating-point dtype.
        """
        num_outputs, width = self._rest.shape
        *leading, _ = dynamic_shape(inputs)
        rows = tf.reshape(inputs, [-1, width])  # (m, k)
        outputs = self._multiply(rows)  # (m, n)
        if self._mean is not None:
            outputs += tf.reduce_sum(rows * tf.cast(self._mean, rows.dtype), -1, keepdims=True)  # (m, n)
        return tf.reshape(outputs, [*leading, num_outputs])

    def _multiply(self, rows: Any) -> Any:
        """(m, k) to (m, n)."""
        num_rows = rows.shape[0]
        missing = 0 if num_rows is None else max(0, _FEWEST_ROWS - num_rows)
        half_rows = tf.pad(tf.cast(rows, tf.bfloat16), [[0, missing], [0, 0]])
        if sums_are_float32():
            transposed = tf.matmul(self._rest, half_rows, transpose_b=True)  # (n, m)
        else:
            weights = tf.cast(self._rest, tf.float32)
            exact_rows = tf.cast(half_rows, tf.float32)
            transposed = tf.cast(tf.matmul(weights, exact_rows, transpose_b=True), tf.bfloat16)  # (n, m)
        outputs = tf.transpose(tf.cast(transposed, rows.dtype))  # (m, n)
        return outputs if num_rows is None else outputs[:num_rows]


@cache
def sums_are_float32() -> bool:
    """Whether products in bfloat16 are rounded once, as on CPUs with instructions for them; one product shows it."""
    generator = np.random.default_rng(0)
    weights = _half(generator.normal(size=(64, 256)))
    rows = _half(generator.normal(size=(_FEWEST_ROWS, 256)))
    with tf.init_scope():  # now, also while a graph is built
        found = tf.matmul(tf.constant(weights), tf.constant(rows), transpose_b=True).numpy()
    exact = weights.astype(np.float32) @ rows.astype(np.float32).T
    error = np.abs(found.astype(np.float32) - exact)
    # Half of the distance between two numbers of 8 bits, and a little for the order of the sum.
    return bool(np.all(error <= 2**-8 * np.abs(exact) + 1e-3))


def _half(values: np.ndarray) -> np.ndarray:
    return values.astype(tf.bfloat16.as_numpy_dtype)
