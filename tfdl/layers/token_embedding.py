r"""A table with one vector for each token, which can also score tokens as the output head."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers.dynamic_shape import dynamic_shape
from tfdl.layers.half_product import HalfWeights


@keras.saving.register_keras_serializable(package="tfdl")
class TokenEmbedding(keras.layers.Layer):
    r"""Looks up the vectors of tokens, and scores every token of the vocabulary against hidden vectors.

    With the table $E$ of shape ``(vocab_size, hidden_dim)``, token $t$ becomes the row $E_t$, and a hidden vector $h$
    gets the logits $E h$. A model that uses both has tied embeddings (Press and Wolf, 2017,
    https://arxiv.org/abs/1608.05859), as in GPT-2 and in the Transformer of Vaswani et al.: one table is trained by
    both uses.

    Args:
        vocab_size: number of tokens; tokens are 0 to ``vocab_size - 1``.
        hidden_dim: width of a vector.
        initializer: for the table. Defaults to a normal distribution with standard deviation 0.02, as in GPT-2.

    Call arguments:
        inputs: tokens, integers of any shape, such as ``(batch, time)``; with ``reverse`` hidden vectors ``(...,
            hidden_dim)``.
        reverse: whether to score hidden vectors. ``logits(hidden)`` is the same.

    Returns:
        The vectors, ``(batch, time, hidden_dim)``, in the layer's compute dtype; with ``reverse`` the logits, ``(...,
        vocab_size)``.

    Raises:
        ValueError: a size below 1, or tokens that are not integers.
    """

    half_weights: HalfWeights | None = None
    """What the layer scores with in place of its table, while texts are generated with weights in bfloat16."""

    def __init__(self, vocab_size: int, hidden_dim: int, initializer: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        if vocab_size < 1 or hidden_dim < 1:
            raise ValueError(
                f"TokenEmbedding vocab_size={vocab_size}, hidden_dim={hidden_dim}, expected at least 1 of each"
            )
        self.vocab_size = vocab_size
        self.hidden_dim = hidden_dim
        self.initializer = keras.initializers.get(initializer or keras.initializers.RandomNormal(stddev=0.02))
        self.autocast = False  # the logits are computed from hidden vectors that are not rounded to 16 bits

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:  # noqa: ARG002
        # Without autocast, only the rows that are looked up are cast, rather than the whole table.
        self.table = self.add_weight(
            shape=(self.vocab_size, self.hidden_dim), name="table", initializer=self.initializer, autocast=False
        )

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        table = tf.convert_to_tensor(self.table)  # (vocab_size, hidden_dim)
        if reverse and self.half_weights is not None:
            return self.half_weights.product(tf.cast(inputs, table.dtype))
        if reverse:
            return _score_tokens(tf.cast(inputs, table.dtype), table)  # (..., vocab_size)
        tokens = tf.convert_to_tensor(inputs)  # (batch, time)
        if not tokens.dtype.is_integer:
            raise ValueError(f"TokenEmbedding got tokens of dtype {tokens.dtype.name}, expected integers")
        return tf.cast(tf.gather(table, tokens), self.compute_dtype)  # (batch, time, hidden_dim)

    def logits(self, hidden: Any) -> Any:
        """Scores every token against hidden vectors, by the same table.

        Args:
            hidden: ``(..., hidden_dim)``, such as ``(batch, time, hidden_dim)``.

        Returns:
            ``(..., vocab_size)``, in the dtype of the table: float32, or float64 under that policy. bfloat16 cannot
            distinguish logits near 10 that differ by less than 0.03.
        """
        return self(hidden, reverse=True)

    def compute_output_spec(self, inputs: Any, reverse: bool = False) -> Any:
        if reverse:
            return keras.KerasTensor((*inputs.shape[:-1], self.vocab_size), self.variable_dtype)
        return keras.KerasTensor((*inputs.shape, self.hidden_dim), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocab_size": self.vocab_size,
            "hidden_dim": self.hidden_dim,
            "initializer": keras.initializers.serialize(self.initializer),
        }


def _score_tokens(hidden: Any, table: Any) -> Any:
    """(..., hidden_dim) and (vocab_size, hidden_dim) to (..., vocab_size)."""
    vocab_size, hidden_dim = table.shape
    *leading, _ = dynamic_shape(hidden)
    # One product over all rows; a broadcast would compute one product for each sample.
    rows = tf.reshape(hidden, [-1, hidden_dim])  # (batch * time, hidden_dim)
    logits = tf.matmul(rows, table, transpose_b=True)  # (batch * time, vocab_size)
    return tf.reshape(logits, [*leading, vocab_size])  # (batch, time, vocab_size)
