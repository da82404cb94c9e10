"""Learned vectors for the segments of a text, such as a question and its answer."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfdl")
class SegmentEmbedding(keras.layers.Layer):
    """Adds a learned vector for the segment of each token (Devlin et al., 2018, https://arxiv.org/abs/1810.04805).

    A segment ends with a separator token, which belongs to it. All tokens after the last separator that starts a
    segment are of the last segment.

    Args:
        num_segments: number of segments.
        separator_id: the token that ends a segment. With none, all tokens are of the first segment.
        initializer: for the table. Defaults to a normal distribution with standard deviation 0.02.

    Call arguments:
        inputs: ``(batch, time, dim)``.
        tokens: integers ``(batch, time)``.
        segments: integers below ``num_segments``, ``(batch, time)``. Defaults to the number of separators before each
            token, at most ``num_segments - 1``.

    Returns:
        ``(batch, time, dim)``, in the layer's compute dtype.

    Raises:
        ValueError: ``num_segments`` below 1.
    """

    def __init__(self, num_segments: int, separator_id: int | None = None, initializer: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        if num_segments < 1:
            raise ValueError(f"SegmentEmbedding num_segments={num_segments}, expected at least 1")
        self.num_segments = num_segments
        self.separator_id = separator_id
        self.initializer = keras.initializers.get(initializer or keras.initializers.RandomNormal(stddev=0.02))

    def build(self, input_shape: tuple[int | None, ...], *_: Any) -> None:
        shape = (self.num_segments, input_shape[-1])
        self.table = self.add_weight(shape=shape, name="table", initializer=self.initializer, autocast=False)

    def call(self, inputs: Any, tokens: Any, segments: Any = None) -> Any:
        if segments is None:
            segments = self._segments(tf.convert_to_tensor(tokens))
        rows = tf.gather(tf.convert_to_tensor(self.table), segments)  # (batch, time, dim)
        return inputs + tf.cast(rows, inputs.dtype)  # (batch, time, dim)

    def _segments(self, tokens: Any) -> Any:
        """(batch, time)."""
        if self.separator_id is None:
            return tf.zeros_like(tokens)
        is_separator = tf.cast(tf.equal(tokens, self.separator_id), tf.int32)
        return tf.minimum(tf.cumsum(is_separator, axis=1, exclusive=True), self.num_segments - 1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...], *_: Any) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_segments": self.num_segments,
            "separator_id": self.separator_id,
            "initializer": keras.initializers.serialize(self.initializer),
        }
