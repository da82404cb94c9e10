"""Images as sequences of patches."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers.dense import Dense
from tfdl.layers.dynamic_shape import dynamic_shape


@keras.saving.register_keras_serializable(package="tfdl")
class PatchEmbedding(keras.layers.Layer):
    r"""Cuts an image into square patches and projects each to a vector (Dosovitskiy et al., 2020, arXiv:2010.11929,
    section 3.1).

    A patch of $P \times P$ pixels is flattened row by row and multiplied by one kernel of shape $(P^2 C, D)$. This
    equals a convolution of that size and stride.

    Args:
        patch_size: $P$, in pixels.
        hidden_dim: $D$, width of a vector.
        kernel_initializer: for the kernel.

    Call arguments:
        inputs: ``(batch, height, width, channels)``; ``patch_size`` must divide height and width.

    Returns:
        ``(batch, patches, hidden_dim)``, row by row, in the layer's compute dtype.

    Raises:
        ValueError: ``patch_size`` does not divide height and width.
    """

    def __init__(self, patch_size: int, hidden_dim: int, kernel_initializer: Any = "glorot_uniform", **kwargs: Any):
        super().__init__(**kwargs)
        self.patch_size = patch_size
        self.hidden_dim = hidden_dim
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        _, height, width, channels = input_shape
        if height is None or width is None or height % self.patch_size or width % self.patch_size:
            raise ValueError(
                f"images of {height}x{width} cannot be cut into patches of {self.patch_size}x{self.patch_size};"
                f" expected a height and width that are multiples of {self.patch_size}"
            )
        self.projection = Dense(
            self.hidden_dim, kernel_initializer=self.kernel_initializer, dtype=self.dtype_policy, name="projection"
        )
        assert channels is not None
        self.projection.build((None, None, self.patch_size**2 * channels))

    def call(self, inputs: Any) -> Any:
        batch, height, width, channels = dynamic_shape(inputs)
        side = self.patch_size
        rows = height // side
        columns = width // side
        x = tf.reshape(inputs, [batch, rows, side, columns, side, channels])
        x = tf.transpose(x, [0, 1, 3, 2, 4, 5])  # (batch, rows, columns, side, side, channels)
        x = tf.reshape(x, [batch, rows * columns, side * side * channels])  # (batch, patches, side * side * channels)
        return self.projection(x)  # (batch, patches, hidden_dim)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, height, width, _ = input_shape
        assert height is not None
        assert width is not None
        patches = (height // self.patch_size) * (width // self.patch_size)
        return (batch, patches, self.hidden_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "patch_size": self.patch_size,
            "hidden_dim": self.hidden_dim,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable(package="tfdl")
class ClassToken(keras.layers.Layer):
    """Prepends one learned vector to each sequence. Its output represents the whole sequence.

    Call arguments:
        inputs: ``(batch, patches, dim)``.

    Returns:
        ``(batch, 1 + patches, dim)``.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.token = self.add_weight(shape=(input_shape[-1],), name="token", initializer="zeros")

    def call(self, inputs: Any) -> Any:
        batch, _, dim = dynamic_shape(inputs)
        token = tf.broadcast_to(tf.cast(self.token, inputs.dtype), [batch, 1, dim])  # (batch, 1, dim)
        return tf.concat([token, inputs], 1)  # (batch, 1 + patches, dim)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, length, dim = input_shape
        return (batch, None if length is None else length + 1, dim)
