r"""Multi-head attention from one sequence to another."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers.attention import check_heads, dot_product_attention, head_width, merge_heads, split_heads
from tfdl.layers.dense import Dense
from tfdl.layers.key_value_cache import Cache
from tfdl.layers.side_by_side import side_by_side

_PLAIN_ARGUMENTS = ("num_heads", "num_key_value_heads", "head_dim", "use_bias", "dropout")


@keras.saving.register_keras_serializable(package="tfdl")
class CrossAttention(keras.layers.Layer):
    r"""Attention of each position of a decoder to an encoder's outputs (Vaswani et al., 2017, section 3.2.3).

    $$Q = x W_q + b_q \qquad [K, V] = m W + b \qquad
      y = [\mathrm{attention}(Q_1, K_1, V_1), \dots, \mathrm{attention}(Q_H, K_H, V_H)]\, W_o + b_o$$

    with the memory $m$. The columns of $W$ are the heads of the keys, then those of the values. ``SelfAttention``
    describes the heads.

    Args:
        num_heads: $H$, heads of queries.
        num_key_value_heads: heads of keys and values, a divisor of ``num_heads``. Defaults to ``num_heads``.
        head_dim: width of a head. Defaults to the inputs' width divided by ``num_heads``.
        use_bias: whether the dense layers have biases.
        dropout: probability that an attention weight is dropped during training.
        kernel_initializer: for $W_q$, and for the keys' and the values' part of $W$ separately.
        output_initializer: for $W_o$.

    Call arguments:
        inputs: ``(batch, time, dim)``.
        memory: ``(batch, source, memory_dim)``, such as an encoder's outputs.
        padding_mask: booleans ``(batch, source)``, true for real tokens of the memory. Padding is never attended to.
            Where all is padding, the result is the output's bias.
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
        use_bias: bool = True,
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
        self.use_bias = use_bias
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        self.weights_dropout = None
        if dropout:
            self.weights_dropout = keras.layers.Dropout(dropout, name="weights_dropout", dtype=self.dtype_policy)

    def build(self, inputs_shape: tuple[int | None, ...], memory_shape: tuple[int | None, ...]) -> None:
        head_dim = self.head_dim or head_width(inputs_shape[-1], self.num_heads)
        query_width = self.num_heads * head_dim
        key_value_widths = [self.num_key_value_heads * head_dim] * 2
        shared = {"use_bias": self.use_bias, "dtype": self.dtype_policy}
        # A clone, since one Keras initializer returns the same values for kernels of the same shape.
        query_initializer = self.kernel_initializer.clone()
        key_value_initializer = side_by_side(self.kernel_initializer, key_value_widths)
        self.query = Dense(query_width, kernel_initializer=query_initializer, name="query", **shared)
        self.key_value = Dense(
            sum(key_value_widths), kernel_initializer=key_value_initializer, name="key_value", **shared
        )
        self.output_projection = Dense(
            inputs_shape[-1], kernel_initializer=self.output_initializer, name="output", **shared
        )
        self.query.build(inputs_shape)
        self.key_value.build(memory_shape)
        self.output_projection.build((*inputs_shape[:-1], query_width))

    def call(self, inputs: Any, memory: Any, padding_mask: Any = None, training: bool = False) -> Any:
        return self.attend(inputs, self.project(memory), padding_mask, training)

    def project(self, memory: Any) -> Cache:
        """Computes keys and values of the memory. Decoding does it once and passes them to ``attend`` at every step.

        Args:
            memory: ``(batch, source, memory_dim)``.

        Returns:
            Keys and values, ``(batch, kv_heads, source, head_dim)`` each.
        """
        projected = self.key_value(memory)  # (batch, source, 2 * kv_heads * head_dim)
        heads = split_heads(projected, 2 * self.num_key_value_heads)  # (batch, 2 * kv_heads, source, head_dim)
        key, value = tf.split(heads, 2, axis=1)  # (batch, kv_heads, source, head_dim) each
        return key, value

    def attend(self, inputs: Any, projected: Cache, padding_mask: Any = None, training: bool = False) -> Any:
        """Computes the same as ``call``, from ``project(memory)``.

        Args:
            inputs: ``(batch, time, dim)``.
            projected: keys and values of the memory, from ``project``.
            padding_mask: booleans ``(batch, source)``, true for real tokens of the memory.
            training: whether to drop weights.

        Returns:
            ``(batch, time, dim)``.
        """
        query = split_heads(self.query(inputs), self.num_heads)  # (batch, heads, time, head_dim)
        key, value = projected
        attended = dot_product_attention(
            query,
            key,
            value,
            padding_mask=padding_mask,
            dropout=self.weights_dropout if training else None,
        )  # (batch, heads, time, head_dim)
        return self.output_projection(merge_heads(attended))  # (batch, time, dim)

    def compute_output_shape(
        self,
        inputs_shape: tuple[int | None, ...],
        memory_shape: tuple[int | None, ...],  # noqa: ARG002
    ) -> tuple[int | None, ...]:
        return tuple(inputs_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in _PLAIN_ARGUMENTS},
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "output_initializer": keras.initializers.serialize(self.output_initializer),
        }
