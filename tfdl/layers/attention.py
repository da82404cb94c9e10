r"""Scaled dot-product attention, and the shapes of heads."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Added to the score of what must not be seen. Any score vanishes beside it, so the sum is this very number whatever
# the score was, and its exponential is exactly zero; and it is finite, so no row becomes NaN.
_HIDDEN = -1e30


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    *,
    is_causal: bool = False,
    query_positions: Any = None,
    padding_mask: Any = None,
    dropout: Callable[[Any], Any] | None = None,
) -> Any:
    r"""Means of values, weighted by how well their keys fit a query (Vaswani et al., 2017, section 3.2.1).

    $$y_t = \sum_s w_{ts} v_s \qquad w_{ts} = \frac{e^{a_{ts}}}{\sum_{s'} e^{a_{ts'}}} \qquad
      a_{ts} = \frac{q_t \cdot k_s}{\sqrt d}$$

    with $s$ over what query $t$ may see. What it may not see has a weight of exactly zero: a change there leaves
    every bit of $y_t$. A query that may see nothing gets zeros.

    Every head of ``key`` and ``value`` serves ``H / H_kv`` consecutive heads of ``query`` (Ainslie et al., 2023,
    https://arxiv.org/abs/2305.13245). Scores and weights are float32 at least.

    TensorFlow 2.21 has no fused kernel for this: none is registered for CPU or GPU, and
    ``keras.ops.dot_product_attention`` refuses ``flash_attention=True`` on TensorFlow. When one comes, its place is
    here: the arguments are those that such kernels take.

    Args:
        query: ``(B, H, T, d)``.
        key, value: ``(B, H_kv, S, d)``.
        is_causal: whether the query at position $t$ sees keys 0 to $t$ only.
        query_positions: positions of the queries among the keys, integers ``(T,)`` or ``(B, T)``, for ``is_causal``; 0
            to ``T - 1`` if not given.
        padding_mask: booleans ``(B, S)``, true for keys that may be seen; all of them if not given.
        dropout: applied to the weights, while training.

    Returns:
        ``(B, H, T, d)``, in the dtype of ``query``.
    """
    batch, heads, length, dim = sizes(query)
    groups = heads // key.shape[1]
    # Queries that share keys become rows of one product: (B, H_kv, groups * T, d). Scaled before the product, which is
    # the smaller tensor, and keeps float16 from overflowing.
    rows = tf.reshape(query * dim**-0.5, [batch, key.shape[1], groups * length, dim])
    scores = tf.matmul(rows, key, transpose_b=True)  # (B, H_kv, groups * T, S)
    scores = tf.reshape(scores, [batch, heads, length, sizes(key)[2]])  # (B, H, T, S)
    if scores.dtype.size < 4:
        scores = tf.cast(scores, tf.float32)
    visible = _visible(length, sizes(key)[2], is_causal, query_positions, padding_mask)
    if visible is not None:
        scores += tf.where(visible, tf.constant(0.0, scores.dtype), _HIDDEN)
    weights = tf.cast(tf.nn.softmax(scores), value.dtype)  # (B, H, T, S)
    if dropout is not None:
        weights = dropout(weights)
    weights = tf.reshape(weights, [batch, key.shape[1], groups * length, sizes(key)[2]])
    outputs = tf.reshape(tf.matmul(weights, value), [batch, heads, length, dim])  # (B, H, T, d)
    if padding_mask is not None:
        outputs *= tf.cast(tf.reduce_any(visible, -1, keepdims=True), outputs.dtype)  # (B, 1, T or 1, 1)
    return outputs


def _visible(length: Any, num_keys: Any, is_causal: bool, query_positions: Any, padding_mask: Any) -> Any:
    """Booleans that broadcast to (B, H, T, S), true where a query may look; none where it may look anywhere."""
    visible = None
    if is_causal:
        positions = tf.range(length) if query_positions is None else query_positions  # (T,) or (B, T)
        visible = tf.range(num_keys) <= positions[..., tf.newaxis, :, tf.newaxis]  # (1, T, S) or (B, 1, T, S)
    if padding_mask is not None:
        real = tf.cast(padding_mask, tf.bool)[:, tf.newaxis, tf.newaxis, :]  # (B, 1, 1, S)
        visible = real if visible is None else visible & real
    return visible


def split_heads(inputs: Any, num_heads: int) -> Any:
    """``(B, T, H * d)`` to ``(B, H, T, d)``."""
    batch, length, width = sizes(inputs)
    return tf.transpose(tf.reshape(inputs, [batch, length, num_heads, width // num_heads]), [0, 2, 1, 3])


def merge_heads(inputs: Any) -> Any:
    """``(B, H, T, d)`` to ``(B, T, H * d)``."""
    batch, heads, length, dim = sizes(inputs)
    return tf.reshape(tf.transpose(inputs, [0, 2, 1, 3]), [batch, length, heads * dim])


def check_heads(num_heads: int, num_key_value_heads: int) -> None:
    """Raises ``ValueError`` unless every group of query heads has keys and values."""
    if num_heads < 1 or num_key_value_heads < 1 or num_heads % num_key_value_heads:
        raise ValueError(
            f"num_heads={num_heads}, num_key_value_heads={num_key_value_heads}, expected at least 1 of both, and a"
            " number of heads that the number of key and value heads divides"
        )


def head_width(hidden_dim: int | None, num_heads: int) -> int:
    """The width of a head where ``num_heads`` of them share ``hidden_dim``.

    Raises:
        ValueError: they do not divide it.
    """
    if hidden_dim is None or hidden_dim % num_heads:
        raise ValueError(
            f"num_heads={num_heads} heads do not divide a width of {hidden_dim}; choose another width, or give head_dim"
        )
    return hidden_dim // num_heads


def sizes(tensor: Any) -> list[Any]:
    """The shape, each size as an integer where it is static and as a scalar tensor where it is not."""
    return [tf.shape(tensor)[axis] if size is None else size for axis, size in enumerate(tensor.shape)]
