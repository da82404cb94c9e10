"""A residual block's shortcut without weights, for blocks that change the shape."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfdl")
class PaddedShortcut(keras.layers.Layer):
    """The identity, as far as another shape allows: every ``strides``-th pixel, and zeros for the new channels.

    Option A of He et al., 2015 (https://arxiv.org/abs/1512.03385, section 3.3). The pixels kept are those that a
    convolution of the same stride with symmetric padding is centred on; the zeros follow the old channels.

    Args:
        filters: channels of the result, at least as many as the inputs have.
        strides: step between the pixels that are kept, in both directions.

    Call arguments:
        inputs: ``(batch, height, width, channels)``.

    Returns:
        ``(batch, ceil(height / strides), ceil(width / strides), filters)``, in the dtype of ``inputs``.
    """

    def __init__(self, filters: int, strides: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        if filters < 1 or strides < 1:
            raise ValueError(f"PaddedShortcut filters={filters}, strides={strides}, expected at least 1 of both")
        self.filters, self.strides = filters, strides

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[-1]
        if len(input_shape) != 4 or channels is None or channels > self.filters:
            raise ValueError(
                f"PaddedShortcut got inputs of shape {tuple(input_shape)}, expected (batch, height, width, channels)"
                f" with at most filters={self.filters} channels"
            )
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: channels})

    def call(self, inputs: Any) -> Any:
        kept = inputs[:, :: self.strides, :: self.strides]  # (B, ceil(H / strides), ceil(W / strides), C)
        return tf.pad(kept, [(0, 0), (0, 0), (0, 0), (0, self.filters - inputs.shape[-1])])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *sizes, _ = input_shape
        return (batch, *(None if size is None else -(-size // self.strides) for size in sizes), self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "strides": self.strides}
