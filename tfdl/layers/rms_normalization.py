r"""Normalization by the root of the mean square."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers.layer_normalization import last_dim, normalize


@keras.saving.register_keras_serializable(package="tfdl")
class RMSNormalization(keras.layers.Layer):
    r"""Scales each vector along the last axis to a mean square of one (Zhang and Sennrich, 2019).

    $$y = \gamma\, \frac{x}{\sqrt{\frac1D \sum_i x_i^2 + \epsilon}}$$

    with $D$ the number of values. It is layer normalization without the mean and without ``beta``
    (https://arxiv.org/abs/1910.07467).

    Args:
        epsilon: added to the mean square.
        scale: whether to learn and multiply by ``gamma``.

    Call arguments:
        inputs: ``(..., dim)``, of at least two axes. The mean square of 16-bit inputs is computed in float32.

    Returns:
        A tensor of the shape of ``inputs``, in the layer's compute dtype.
    """

    def __init__(self, epsilon: float = 1e-6, scale: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon = float(epsilon)
        self.scale = scale
        self.gamma: Any = None
        self.supports_masking = True
        self.autocast = False  # a 16-bit layer normalizes float32 inputs without rounding them first

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        dim = last_dim(self, input_shape)
        if self.scale:
            self.gamma = self.add_weight(shape=(dim,), name="gamma", initializer="ones", autocast=False)

    def call(self, inputs: Any) -> Any:
        outputs = normalize(inputs, self.gamma, self.epsilon, center=False)
        return tf.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon, "scale": self.scale}
