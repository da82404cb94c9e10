r"""Scaled dot-product attention, and helpers that split and merge heads."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfdl.layers.dynamic_shape import dynamic_shape

# Added to the scores of hidden keys. It is so large that the sum rounds to exactly this number, whatever the score is,
# and the exponential is exactly zero. It is finite, so a row without a visible key does not become NaN.
_HIDDEN_SCORE = -1e30


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    *,
    is_causal: bool = False,
    query_positions: Any = None,
    sliding_window: int | None = None,
    padding_mask: Any = None,
    dropout: Callable[[Any], Any] | None = None,
) -> Any:
    r"""Averages values, weighted by how well their keys match each query (Vaswani et al., 2017, section 3.2.1).

    $$y_t = \sum_s w_{ts} v_s \qquad w_{ts} = \frac{e^{a_{ts}}}{\sum_{s'} e^{a_{ts'}}} \qquad
      a_{ts} = \frac{q_t \cdot k_s}{\sqrt d}$$

    The sums run over the keys $s$ that query $t$ may see. A hidden key has a weight of exactly zero: changing it leaves
    $y_t$ bit-identical. A query that may see no key returns zeros.

    Each head of ``key`` and ``value`` serves ``heads / kv_heads`` consecutive heads of ``query`` (Ainslie et al., 2023,
    https://arxiv.org/abs/2305.13245). Scores and weights are computed in float32 or wider.

    TensorFlow 2.21 has no fused kernel for this. None is registered for CPU or GPU, and
    ``keras.ops.dot_product_attention`` rejects ``flash_attention=True`` on TensorFlow. A future kernel belongs here:
    this function takes the arguments that such kernels take.

    Args:
        query: ``(batch, heads, time, head_dim)``.
        key, value: ``(batch, kv_heads, source, head_dim)``.
        is_causal: whether the query at position $t$ sees keys 0 to $t$ only.
        query_positions: positions of the queries among the keys, integers ``(time,)`` or ``(batch, time)``, for
            ``is_causal``. Defaults to 0 to ``time - 1``.
        sliding_window: with ``is_causal``, the query at position $t$ sees at most this many keys, the last at $t$.
        padding_mask: booleans ``(batch, source)``, true for keys that may be seen. Defaults to all keys.
        dropout: function applied to the attention weights during training.

    Returns:
        ``(batch, heads, time, head_dim)``, in the dtype of ``query``.
    """
    batch, heads, time, head_dim = dynamic_shape(query)
    kv_heads = key.shape[1]
    source = dynamic_shape(key)[2]
    group_size = heads // kv_heads
    # Queries that share keys become rows of one product. The query is scaled rather than the scores: it is the smaller
    # tensor, and the product does not overflow in float16.
    grouped = [batch, kv_heads, group_size * time]
    query = tf.reshape(query * head_dim**-0.5, [*grouped, head_dim])  # (batch, kv_heads, group_size * time, head_dim)
    scores = tf.matmul(query, key, transpose_b=True)  # (batch, kv_heads, group_size * time, source)
    scores = tf.reshape(scores, [batch, heads, time, source])  # (batch, heads, time, source)
    if scores.dtype.size < 4:
        scores = tf.cast(scores, tf.float32)
    visible = _visible_keys(time, source, is_causal, query_positions, sliding_window, padding_mask)
    if visible is not None:
        scores += tf.where(visible, tf.constant(0.0, scores.dtype), _HIDDEN_SCORE)
    weights = tf.cast(tf.nn.softmax(scores), value.dtype)  # (batch, heads, time, source)
    if dropout is not None:
        weights = dropout(weights)
    weights = tf.reshape(weights, [*grouped, source])  # (batch, kv_heads, group_size * time, source)
    outputs = tf.matmul(weights, value)  # (batch, kv_heads, group_size * time, head_dim)
    outputs = tf.reshape(outputs, [batch, heads, time, head_dim])  # (batch, heads, time, head_dim)
    if padding_mask is not None:
        # Softmax spreads the weight evenly over hidden keys where a query sees none.
        sees_any = tf.reduce_any(visible, -1, keepdims=True)  # (batch, 1, time or 1, 1)
        outputs *= tf.cast(sees_any, outputs.dtype)
    return outputs


def _visible_keys(
    time: Any, source: Any, is_causal: bool, query_positions: Any, sliding_window: int | None, padding_mask: Any
) -> Any:
    """Booleans that broadcast to (batch, heads, time, source), or None where every query sees every key."""
    visible = None
    if is_causal:
        positions = tf.range(time) if query_positions is None else query_positions  # (time,) or (batch, time)
        # tf2onnx converts no slice that has an ellipsis between two new axes.
        positions = tf.expand_dims(tf.expand_dims(positions, -2), -1)  # (1, time, 1) or (batch, 1, time, 1)
        visible = tf.range(source) <= positions  # (1, time, source) or (batch, 1, time, source)
        if sliding_window is not None:
            visible &= tf.range(source) > positions - sliding_window
    if padding_mask is not None:
        # LiteRT adds an axis to a tensor of unknown sizes by this operation, and not by tf.newaxis.
        is_real = tf.expand_dims(tf.expand_dims(tf.cast(padding_mask, tf.bool), 1), 1)  # (batch, 1, 1, source)
        visible = is_real if visible is None else visible & is_real
    return visible


def split_heads(inputs: Any, num_heads: int) -> Any:
    """Reshapes ``(batch, time, heads * head_dim)`` to ``(batch, heads, time, head_dim)``.

    Args:
        inputs: the heads side by side.
        num_heads: number of heads.
    """
    batch, time, width = dynamic_shape(inputs)
    heads = tf.reshape(inputs, [batch, time, num_heads, width // num_heads])  # (batch, time, heads, head_dim)
    return tf.transpose(heads, [0, 2, 1, 3])  # (batch, heads, time, head_dim)


def merge_heads(inputs: Any) -> Any:
    """Reshapes ``(batch, heads, time, head_dim)`` to ``(batch, time, heads * head_dim)``."""
    batch, heads, time, head_dim = dynamic_shape(inputs)
    outputs = tf.transpose(inputs, [0, 2, 1, 3])  # (batch, time, heads, head_dim)
    return tf.reshape(outputs, [batch, time, heads * head_dim])  # (batch, time, heads * head_dim)


def check_heads(num_heads: int, num_key_value_heads: int) -> None:
    """Checks that the heads of keys and values divide the heads of queries.

    Args:
        num_heads: heads of queries.
        num_key_value_heads: heads of keys and values.

    Raises:
        ValueError: a number is below 1, or ``num_key_value_heads`` does not divide ``num_heads``.
    """
    if num_heads < 1 or num_key_value_heads < 1 or num_heads % num_key_value_heads:
        raise ValueError(
            f"num_heads={num_heads}, num_key_value_heads={num_key_value_heads}, expected at least 1 of each, and"
            " num_heads to be a multiple of num_key_value_heads"
        )


def head_width(hidden_dim: int | None, num_heads: int) -> int:
    """Returns the width of a head when ``num_heads`` heads share ``hidden_dim``.

    Args:
        hidden_dim: width of the inputs.
        num_heads: number of heads.

    Raises:
        ValueError: ``num_heads`` does not divide ``hidden_dim``.
    """
    if hidden_dim is None or hidden_dim % num_heads:
        raise ValueError(
            f"num_heads={num_heads} does not divide the width {hidden_dim}; choose another width, or pass head_dim"
        )
    return hidden_dim // num_heads
