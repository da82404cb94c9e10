r"""Multi-head self-attention, with a cache of keys and values for decoding."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers.attention import check_heads, dot_product_attention, head_width, merge_heads, sizes, split_heads
from tfdl.layers.dense import Dense
from tfdl.layers.key_value_cache import Cache, empty_cache, write_cache
from tfdl.layers.rotary_embedding import RotaryEmbedding
from tfdl.layers.side_by_side import side_by_side


@keras.saving.register_keras_serializable(package="tfdl")
class SelfAttention(keras.layers.Layer):
    r"""Every position looks at the others, by several heads at once (Vaswani et al., 2017, section 3.2.2).

    $$[Q, K, V] = x W + b \qquad y = [\mathrm{attention}(Q_1, K_1, V_1), \dots, \mathrm{attention}(Q_H, K_H, V_H)]\,
      W_o + b_o$$

    One product computes queries, keys and values of all heads: the columns of $W$ are the queries' heads, then the
    keys', then the values', each head ``head_dim`` columns. With fewer ``num_key_value_heads`` than ``num_heads``,
    consecutive heads share keys and values (Ainslie et al., 2023, https://arxiv.org/abs/2305.13245).

    Args:
        num_heads: $H$, heads of queries.
        num_key_value_heads: heads of keys and values, a divisor of ``num_heads``; ``num_heads`` if not given.
        head_dim: width of a head; the inputs' width over ``num_heads`` if not given.
        is_causal: whether a position sees itself and those before it only.
        rotary_base: base of the rotary embedding of queries and keys (``RotaryEmbedding``); none if not given.
        use_bias: whether the two dense layers have biases.
        dropout: probability that an attention weight is dropped while training.
        kernel_initializer, output_initializer: of each of the three parts of $W$, and of $W_o$.

    Call arguments:
        inputs: ``(B, T, D)``.
        padding_mask: booleans ``(B, T)``, true for real tokens: padding is never looked at, and a position that may
            look at nothing gets the output's bias.
        training: whether to drop weights.

    Returns:
        ``(B, T, D)``, in the layer's compute dtype.

    Raises:
        ValueError: sizes that do not divide each other.
    """

    def __init__(
        self,
        num_heads: int,
        num_key_value_heads: int | None = None,
        head_dim: int | None = None,
        is_causal: bool = False,
        rotary_base: float | None = None,
        use_bias: bool = True,
        dropout: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        output_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_heads, self.num_key_value_heads = num_heads, num_key_value_heads or num_heads
        check_heads(self.num_heads, self.num_key_value_heads)
        self.head_dim, self.is_causal, self.rotary_base = head_dim, is_causal, rotary_base
        self.use_bias, self.dropout = use_bias, dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        same = {"dtype": self.dtype_policy}
        self.rotary = None if rotary_base is None else RotaryEmbedding(rotary_base, name="rotary", **same)
        self.weights_dropout = keras.layers.Dropout(dropout, name="weights_dropout", **same) if dropout else None

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        self._head_dim = self.head_dim or head_width(inputs_shape[-1], self.num_heads)
        widths = [heads * self._head_dim for heads in self._parts]
        same = {"use_bias": self.use_bias, "dtype": self.dtype_policy}
        first, last = side_by_side(self.kernel_initializer, widths), self.output_initializer
        self.query_key_value = Dense(sum(widths), kernel_initializer=first, name="query_key_value", **same)
        self.output_projection = Dense(inputs_shape[-1], kernel_initializer=last, name="output", **same)
        self.query_key_value.build(inputs_shape)
        self.output_projection.build((*inputs_shape[:-1], widths[0]))
        if self.rotary is not None:
            self.rotary.build((None, self.num_heads, None, self._head_dim))

    def call(self, inputs: Any, padding_mask: Any = None, training: bool = False) -> Any:
        query, key, value = self._heads(inputs)
        attended = dot_product_attention(
            query,
            key,
            value,
            is_causal=self.is_causal,
            padding_mask=padding_mask,
            dropout=self.weights_dropout if training else None,
        )  # (B, H, T, d)
        return self.output_projection(merge_heads(attended))  # (B, T, D)

    def initial_cache(self, batch_size: Any, max_length: int) -> Cache:
        """A cache of no token yet, with ``max_length`` places."""
        return empty_cache(batch_size, self.num_key_value_heads, max_length, self._head_dim, self.compute_dtype)

    def decode(
        self, inputs: Any, cache: Cache, place: Any, positions: Any = None, padding_mask: Any = None
    ) -> tuple[Any, Cache]:
        """As ``call`` with ``is_causal``, for tokens that follow those in the cache.

        Args:
            inputs: ``(B, T, D)``, the next tokens of each sequence.
            cache: from ``initial_cache`` or the last call.
            place: of the first of them in the cache, a scalar.
            positions: what rotary embeddings turn by, integers ``(T,)`` or ``(B, T)``; the places if not given.
            padding_mask: booleans ``(B, S)``, true for places of real tokens; places to come count as real.

        Returns:
            ``(B, T, D)``, and the cache with these tokens in it.
        """
        places = place + tf.range(sizes(inputs)[1])  # (T,)
        query, key, value = self._heads(inputs, places if positions is None else positions)
        cache = write_cache(cache, key, value, place)
        attended = dot_product_attention(
            query, *cache, is_causal=True, query_positions=places, padding_mask=padding_mask
        )  # (B, H, T, d)
        return self.output_projection(merge_heads(attended)), cache

    def compute_output_shape(self, inputs_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(inputs_shape)

    def get_config(self) -> dict[str, Any]:
        names = "num_heads num_key_value_heads head_dim is_causal rotary_base use_bias dropout"
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "output_initializer": keras.initializers.serialize(self.output_initializer),
        }

    @property
    def _parts(self) -> list[int]:
        """Heads of queries, of keys and of values."""
        return [self.num_heads, self.num_key_value_heads, self.num_key_value_heads]

    def _heads(self, inputs: Any, positions: Any = None) -> tuple[Any, Any, Any]:
        """(B, T, D) to queries (B, H, T, d), keys and values (B, H_kv, T, d)."""
        heads = split_heads(self.query_key_value(inputs), sum(self._parts))  # (B, H + 2 H_kv, T, d)
        query, key, value = tf.split(heads, self._parts, axis=1)
        if self.rotary is not None:
            query, key = self.rotary(query, positions), self.rotary(key, positions)
        return query, key, value
