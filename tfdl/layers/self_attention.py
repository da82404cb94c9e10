r"""Multi-head self-attention, with a cache of keys and values for decoding."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfdl.layers.attention import check_heads, dot_product_attention, head_width, merge_heads, split_heads
from tfdl.layers.dense import Dense
from tfdl.layers.dynamic_shape import dynamic_shape
from tfdl.layers.key_value_cache import Cache, empty_cache, write_cache
from tfdl.layers.rotary_embedding import RotaryEmbedding
from tfdl.layers.side_by_side import side_by_side

_PLAIN_ARGUMENTS = (
    "num_heads",
    "num_key_value_heads",
    "head_dim",
    "is_causal",
    "rotary_base",
    "rotary_scaling",
    "sliding_window",
    "use_bias",
    "query_key_value_bias",
    "dropout",
)


@keras.saving.register_keras_serializable(package="tfdl")
class SelfAttention(keras.layers.Layer):
    r"""Attention of each position to the others, by several heads in parallel (Vaswani et al., 2017, section 3.2.2).

    $$[Q, K, V] = x W + b \qquad y = [\mathrm{attention}(Q_1, K_1, V_1), \dots, \mathrm{attention}(Q_H, K_H, V_H)]\,
      W_o + b_o$$

    One product computes queries, keys and values of all heads. The columns of $W$ are the heads of the queries, then of
    the keys, then of the values, with ``head_dim`` columns for each head. With fewer ``num_key_value_heads`` than
    ``num_heads``, consecutive heads share keys and values (Ainslie et al., 2023, https://arxiv.org/abs/2305.13245).

    Args:
        num_heads: $H$, heads of queries.
        num_key_value_heads: heads of keys and values, a divisor of ``num_heads``. Defaults to ``num_heads``.
        head_dim: width of a head. Defaults to the inputs' width divided by ``num_heads``.
        is_causal: whether a position attends only to itself and to earlier positions.
        rotary_base: base of the rotary embedding of queries and keys (see ``RotaryEmbedding``). None disables it.
        rotary_scaling: more arguments of ``RotaryEmbedding``, by name.
        sliding_window: number of positions that a position of a causal layer attends to, itself included (Beltagy et
            al., 2020, https://arxiv.org/abs/2004.05150). Defaults to all.
        use_bias: whether the two dense layers have biases.
        query_key_value_bias: whether the dense layer of queries, keys and values has one. Defaults to ``use_bias``.
        dropout: probability that an attention weight is dropped during training.
        kernel_initializer: for the queries', keys' and values' part of $W$ separately.
        output_initializer: for $W_o$.

    Call arguments:
        inputs: ``(batch, time, dim)``.
        padding_mask: booleans ``(batch, time)``, true for real tokens. Padding is never attended to. A position that
            may attend to nothing returns the output's bias.
        training: whether to drop weights.

    Returns:
        ``(batch, time, dim)``, in the layer's compute dtype.

    Raises:
        ValueError: ``num_heads`` does not divide the width, or ``num_key_value_heads`` does not divide ``num_heads``.
    """

    def __init__(
        self,
        num_heads: int,
        num_key_value_heads: int | None = None,
        head_dim: int | None = None,
        is_causal: bool = False,
        rotary_base: float | None = None,
        rotary_scaling: Mapping[str, Any] | None = None,
        sliding_window: int | None = None,
        use_bias: bool = True,
        query_key_value_bias: bool | None = None,
        dropout: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        output_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.num_key_value_heads = num_key_value_heads or num_heads
        check_heads(self.num_heads, self.num_key_value_heads)
        self.head_dim = head_dim
        self.is_causal = is_causal
        self.rotary_base = rotary_base
        self.rotary_scaling = dict(rotary_scaling or {})
        self.sliding_window = sliding_window
        self.use_bias = use_bias
        self.query_key_value_bias = use_bias if query_key_value_bias is None else query_key_value_bias
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        self.rotary = None
        if rotary_base is not None:
            self.rotary = RotaryEmbedding(rotary_base, **self.rotary_scaling, name="rotary", dtype=self.dtype_policy)
        self.weights_dropout = None
        if dropout:
            self.weights_dropout = keras.layers.Dropout(dropout, name="weights_dropout", dtype=self.dtype_policy)

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        self._head_dim = self.head_dim or head_width(inputs_shape[-1], self.num_heads)
        widths = [heads * self._head_dim for heads in self._head_counts]
        query_width = widths[0]
        self.query_key_value = Dense(
            sum(widths),
            use_bias=self.query_key_value_bias,
            kernel_initializer=side_by_side(self.kernel_initializer, widths),
            dtype=self.dtype_policy,
            name="query_key_value",
        )
        self.output_projection = Dense(
            inputs_shape[-1],
            use_bias=self.use_bias,
            kernel_initializer=self.output_initializer,
            dtype=self.dtype_policy,
            name="output",
        )
        self.query_key_value.build(inputs_shape)
        self.output_projection.build((*inputs_shape[:-1], query_width))
        if self.rotary is not None:
            self.rotary.build((None, self.num_heads, None, self._head_dim))

    def call(self, inputs: Any, padding_mask: Any = None, training: bool = False) -> Any:
        query, key, value = self._project(inputs)
        attended = dot_product_attention(
            query,
            key,
            value,
            is_causal=self.is_causal,
            sliding_window=self.sliding_window,
            padding_mask=padding_mask,
            dropout=self.weights_dropout if training else None,
        )  # (batch, heads, time, head_dim)
        return self.output_projection(merge_heads(attended))  # (batch, time, dim)

    def initial_cache(self, batch_size: Any, max_length: int) -> Cache:
        """Returns an empty cache.

        Args:
            batch_size: sequences to decode.
            max_length: slots for tokens.
        """
        return empty_cache(batch_size, self.num_key_value_heads, max_length, self._head_dim, self.compute_dtype)

    def decode(
        self, inputs: Any, cache: Cache, cache_index: Any, positions: Any = None, padding_mask: Any = None
    ) -> tuple[Any, Cache]:
        """Computes the same as a causal ``call``, for tokens that follow those in the cache.

        Args:
            inputs: ``(batch, time, dim)``, the next tokens of each sequence.
            cache: from ``initial_cache`` or the last call.
            cache_index: slot of the first of these tokens in the cache, a scalar.
            positions: positions for the rotary embedding, integers ``(time,)`` or ``(batch, time)``. Defaults to the
                slots.
            padding_mask: booleans ``(batch, max_length)``, true for slots of real tokens and for slots not yet filled.

        Returns:
            ``(batch, time, dim)``, and the cache with these tokens.
        """
        slots = cache_index + tf.range(dynamic_shape(inputs)[1])  # (time,)
        query, key, value = self._project(inputs, slots if positions is None else positions)
        keys, values = write_cache(cache, key, value, cache_index)  # (batch, kv_heads, max_length, head_dim) each
        attended = dot_product_attention(
            query,
            keys,
            values,
            is_causal=True,
            query_positions=slots,
            sliding_window=self.sliding_window,
            padding_mask=padding_mask,
        )  # (batch, heads, time, head_dim)
        outputs = self.output_projection(merge_heads(attended))  # (batch, time, dim)
        return outputs, (keys, values)

    def compute_output_shape(self, inputs_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(inputs_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in _PLAIN_ARGUMENTS},
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "output_initializer": keras.initializers.serialize(self.output_initializer),
        }

    @property
    def _head_counts(self) -> list[int]:
        """The numbers of heads of queries, of keys and of values."""
        return [self.num_heads, self.num_key_value_heads, self.num_key_value_heads]

    def _project(self, inputs: Any, positions: Any = None) -> tuple[Any, Any, Any]:
        """Queries (batch, heads, time, head_dim), and keys and values (batch, kv_heads, time, head_dim)."""
        projected = self.query_key_value(inputs)  # (batch, time, (heads + 2 * kv_heads) * head_dim)
        heads = split_heads(projected, sum(self._head_counts))  # (batch, heads + 2 * kv_heads, time, head_dim)
        query, key, value = tf.split(heads, self._head_counts, axis=1)
        if self.rotary is not None:
            query = self.rotary(query, positions)
            key = self.rotary(key, positions)
        return query, key, value
