r"""A table with one vector for each token, and the same table as the head that scores tokens."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfdl")
class TokenEmbedding(keras.layers.Layer):
    r"""Looks up vectors of tokens, and scores every token of the vocabulary against hidden vectors.

    With the table $E$ of shape $(V, D)$, token $t$ becomes the row $E_t$, and a hidden vector $h$ gets the logits
    $E h$. A model that uses both has tied embeddings (Press and Wolf, 2017, https://arxiv.org/abs/1608.05859), as
    GPT-2 and Vaswani et al.'s Transformer have: one table, trained by both of its uses.

    Args:
        vocab_size: $V$, how many tokens there are; tokens are 0 to ``vocab_size - 1``.
        hidden_dim: $D$, the width of a vector.
        initializer: of the table; a normal distribution of deviation 0.02, as in GPT-2, if not given.

    Call arguments:
        inputs: tokens, integers of any shape, such as ``(B, T)``; with ``reverse`` hidden vectors ``(..., D)``.
        reverse: whether to score hidden vectors; ``logits(hidden)`` says the same.

    Returns:
        The vectors, ``(B, T, D)``, in the layer's compute dtype; with ``reverse`` the logits, ``(..., V)``.

    Raises:
        ValueError: sizes below 1, or tokens that are no integers.
    """

    def __init__(self, vocab_size: int, hidden_dim: int, initializer: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        if vocab_size < 1 or hidden_dim < 1:
            raise ValueError(
                f"TokenEmbedding vocab_size={vocab_size}, hidden_dim={hidden_dim}, expected at least 1 of both"
            )
        self.vocab_size, self.hidden_dim = vocab_size, hidden_dim
        self.initializer = keras.initializers.get(initializer or keras.initializers.RandomNormal(stddev=0.02))
        self.autocast = False  # logits take hidden vectors as they come, and make their own dtype of them

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:  # noqa: ARG002
        # Rows are cast after they are looked up, not the table before it.
        self.table = self.add_weight(
            shape=(self.vocab_size, self.hidden_dim), name="table", initializer=self.initializer, autocast=False
        )

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        table = tf.convert_to_tensor(self.table)  # (V, D)
        if reverse:
            return _scores(tf.cast(inputs, table.dtype), table)
        tokens = tf.convert_to_tensor(inputs)  # (B, T)
        if not tokens.dtype.is_integer:
            raise ValueError(f"TokenEmbedding got tokens of dtype {tokens.dtype.name}, expected integers")
        return tf.cast(tf.gather(table, tokens), self.compute_dtype)  # (B, T, D)

    def logits(self, hidden: Any) -> Any:
        """Scores of all tokens, by the same table.

        Args:
            hidden: ``(..., D)``, such as ``(B, T, D)``.

        Returns:
            ``(..., V)``, computed in the table's own dtype: float32, or float64 under that policy. In bfloat16 two
            tokens' scores near 10 could not be told apart within 0.03.
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


def _scores(hidden: Any, table: Any) -> Any:
    """(..., D) and (V, D) to (..., V), as one product over all rows where a broadcast would be one for each sample."""
    vocab_size, hidden_dim = table.shape
    logits = tf.matmul(tf.reshape(hidden, [-1, hidden_dim]), table, transpose_b=True)  # (B * T, V)
    sizes = [tf.shape(hidden)[axis] if size is None else size for axis, size in enumerate(hidden.shape[:-1])]
    return tf.reshape(logits, [*sizes, vocab_size])  # (B, T, V)
