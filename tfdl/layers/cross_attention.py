r"""Multi-head attention of one sequence to another."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers.attention import check_heads, dot_product_attention, head_width, merge_heads, split_heads
from tfdl.layers.dense import Dense
from tfdl.layers.key_value_cache import Cache
from tfdl.layers.side_by_side import side_by_side


@keras.saving.register_keras_serializable(package="tfdl")
class CrossAttention(keras.layers.Layer):
    r"""Every position of a decoder looks at the encoder's outputs (Vaswani et al., 2017, section 3.2.3).

    $$Q = x W_q + b_q \qquad [K, V] = m W + b \qquad
      y = [\mathrm{attention}(Q_1, K_1, V_1), \dots, \mathrm{attention}(Q_H, K_H, V_H)]\, W_o + b_o$$

    with the memory $m$. The columns of $W$ are the keys' heads, then the values'; see ``SelfAttention`` for heads.

    Args:
        num_heads: $H$, heads of queries.
        num_key_value_heads: heads of keys and values, a divisor of ``num_heads``; ``num_heads`` if not given.
        head_dim: width of a head; the inputs' width over ``num_heads`` if not given.
        use_bias: whether the dense layers have biases.
        dropout: probability that an attention weight is dropped while training.
        kernel_initializer, output_initializer: of $W_q$ and each of the two parts of $W$, and of $W_o$.

    Call arguments:
        inputs: ``(B, T, D)``.
        memory: ``(B, S, M)``, such as an encoder's outputs.
        padding_mask: booleans ``(B, S)``, true for real tokens of the memory: padding is never looked at, and where all
            is padding the result is the output's bias.
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
        use_bias: bool = True,
        dropout: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        output_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_heads, self.num_key_value_heads = num_heads, num_key_value_heads or num_heads
        check_heads(self.num_heads, self.num_key_value_heads)
        self.head_dim, self.use_bias, self.dropout = head_dim, use_bias, dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        same = {"dtype": self.dtype_policy}
        self.weights_dropout = keras.layers.Dropout(dropout, name="weights_dropout", **same) if dropout else None

    def build(self, inputs_shape: tuple[int | None, ...], memory_shape: tuple[int | None, ...]) -> None:
        dim = self.head_dim or head_width(inputs_shape[-1], self.num_heads)
        query, memory = self.num_heads * dim, [self.num_key_value_heads * dim] * 2
        same = {"use_bias": self.use_bias, "dtype": self.dtype_policy}
        self.query = Dense(query, kernel_initializer=self.kernel_initializer.clone(), name="query", **same)
        self.key_value = Dense(
            sum(memory), kernel_initializer=side_by_side(self.kernel_initializer, memory), name="key_value", **same
        )
        self.output_projection = Dense(
            inputs_shape[-1], kernel_initializer=self.output_initializer, name="output", **same
        )
        self.query.build(inputs_shape)
        self.key_value.build(memory_shape)
        self.output_projection.build((*inputs_shape[:-1], query))

    def call(self, inputs: Any, memory: Any, padding_mask: Any = None, training: bool = False) -> Any:
        return self.attend(inputs, self.project(memory), padding_mask, training)

    def project(self, memory: Any) -> Cache:
        """Keys and values of the memory: for decoding they are computed once, and given to ``attend`` at every step.

        Args:
            memory: ``(B, S, M)``.

        Returns:
            Keys and values, each ``(B, H_kv, S, d)``.
        """
        heads = split_heads(self.key_value(memory), 2 * self.num_key_value_heads)  # (B, 2 H_kv, S, d)
        key, value = tf.split(heads, 2, axis=1)
        return key, value

    def attend(self, inputs: Any, projected: Cache, padding_mask: Any = None, training: bool = False) -> Any:
        """As ``call``, with ``project(memory)`` in place of the memory."""
        attended = dot_product_attention(
            split_heads(self.query(inputs), self.num_heads),  # (B, H, T, d)
            *projected,
            padding_mask=padding_mask,
            dropout=self.weights_dropout if training else None,
        )  # (B, H, T, d)
        return self.output_projection(merge_heads(attended))  # (B, T, D)

    def compute_output_shape(
        self,
        inputs_shape: tuple[int | None, ...],
        memory_shape: tuple[int | None, ...],  # noqa: ARG002
    ) -> tuple[int | None, ...]:
        return tuple(inputs_shape)

    def get_config(self) -> dict[str, Any]:
        names = "num_heads num_key_value_heads head_dim use_bias dropout"
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "output_initializer": keras.initializers.serialize(self.output_initializer),
        }
