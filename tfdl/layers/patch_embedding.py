"""Images as sequences of patches."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers.attention import sizes
from tfdl.layers.dense import Dense


@keras.saving.register_keras_serializable(package="tfdl")
class PatchEmbedding(keras.layers.Layer):
    r"""Cuts an image into squares and makes a vector of each (Dosovitskiy et al., 2020, arXiv:2010.11929, section 3.1).

    A square of $P \times P$ pixels is flattened, row by row, and multiplied by one kernel $(P^2 C, D)$: the same as a
    convolution of that size and stride.

    Args:
        patch_size: $P$, in pixels.
        hidden_dim: $D$, the width of a vector.
        kernel_initializer: of the kernel.

    Call arguments:
        inputs: ``(B, H, W, C)``, with sides that ``patch_size`` divides.

    Returns:
        ``(B, (H / P) * (W / P), D)``, row by row, in the layer's compute dtype.

    Raises:
        ValueError: sides that ``patch_size`` does not divide.
    """

    def __init__(self, patch_size: int, hidden_dim: int, kernel_initializer: Any = "glorot_uniform", **kwargs: Any):
        super().__init__(**kwargs)
        self.patch_size, self.hidden_dim = patch_size, hidden_dim
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        _, height, width, channels = input_shape
        if height is None or width is None or height % self.patch_size or width % self.patch_size:
            raise ValueError(
                f"images of {height}x{width} cannot be cut into patches of {self.patch_size}x{self.patch_size};"
                " expected sides that are multiples of it"
            )
        self.projection = Dense(
            self.hidden_dim, kernel_initializer=self.kernel_initializer, dtype=self.dtype_policy, name="projection"
        )
        assert channels is not None
        self.projection.build((None, None, self.patch_size**2 * channels))

    def call(self, inputs: Any) -> Any:
        batch, height, width, channels = sizes(inputs)
        side, rows, columns = self.patch_size, height // self.patch_size, width // self.patch_size
        x = tf.reshape(inputs, [batch, rows, side, columns, side, channels])
        x = tf.transpose(x, [0, 1, 3, 2, 4, 5])  # (B, rows, columns, P, P, C)
        return self.projection(tf.reshape(x, [batch, rows * columns, side * side * channels]))  # (B, N, D)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, height, width, _ = input_shape
        assert height is not None
        assert width is not None
        return (batch, (height // self.patch_size) * (width // self.patch_size), self.hidden_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "patch_size": self.patch_size,
            "hidden_dim": self.hidden_dim,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable(package="tfdl")
class ClassToken(keras.layers.Layer):
    """Puts one learned vector before each sequence, whose outcome stands for the whole: ``(B, N, D)`` to ``N + 1``."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.token = self.add_weight(shape=(input_shape[-1],), name="token", initializer="zeros")

    def call(self, inputs: Any) -> Any:
        first = tf.broadcast_to(tf.cast(self.token, inputs.dtype), [sizes(inputs)[0], 1, inputs.shape[-1]])
        return tf.concat([first, inputs], 1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, length, width = input_shape
        return (batch, None if length is None else length + 1, width)
