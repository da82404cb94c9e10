"""The shortcut without weights of residual blocks that change the shape."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfdl")
class PaddedShortcut(keras.layers.Layer):
    """An identity shortcut to another shape: takes every ``strides``-th pixel, and adds channels of zeros.

    Option A of He et al., 2015 (https://arxiv.org/abs/1512.03385, section 3.3). It takes the pixels that a convolution
    of the same stride with symmetric padding is centred on. The zeros follow the channels of the inputs.

    Args:
        filters: number of output channels, at least that of the inputs.
        strides: step between the pixels that are taken, in both directions.

    Call arguments:
        inputs: ``(batch, height, width, channels)``.

    Returns:
        ``(batch, ceil(height / strides), ceil(width / strides), filters)``, in the dtype of ``inputs``.
    """

    def __init__(self, filters: int, strides: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        if filters < 1 or strides < 1:
            raise ValueError(f"PaddedShortcut filters={filters}, strides={strides}, expected at least 1 of each")
        self.filters = filters
        self.strides = strides

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[-1]
        if len(input_shape) != 4 or channels is None or channels > self.filters:
            raise ValueError(
                f"PaddedShortcut got inputs of shape {tuple(input_shape)}, expected (batch, height, width, channels)"
                f" with at most filters={self.filters} channels"
            )
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: channels})

    def call(self, inputs: Any) -> Any:
        # (batch, ceil(height / strides), ceil(width / strides), channels)
        pixels = inputs[:, :: self.strides, :: self.strides]
        new_channels = self.filters - inputs.shape[-1]
        # (batch, ceil(height / strides), ceil(width / strides), filters)
        return tf.pad(pixels, [(0, 0), (0, 0), (0, 0), (0, new_channels)])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, height, width, _ = input_shape
        return (batch, self._strided(height), self._strided(width), self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "strides": self.strides}

    def _strided(self, size: int | None) -> int | None:
        """The size divided by the stride, rounded up."""
        return None if size is None else -(-size // self.strides)
