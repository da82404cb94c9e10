r"""Layer normalization in few kernels, and the formula that it shares with RMS normalization."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfdl")
class LayerNormalization(keras.layers.Layer):
    r"""Normalizes each vector along the last axis (Ba, Kiros and Hinton, 2016, https://arxiv.org/abs/1607.06450).

    $$y = \gamma\, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta$$

    with $\mu$ and $\sigma^2$ the mean and variance of the values of each vector. It has the weights and names of
    ``keras.layers.LayerNormalization`` on the last axis. The gradient is written out: TensorFlow differentiates Keras's
    layer kernel by kernel, which takes about twice as long on a CPU without XLA.

    Args:
        epsilon: added to the variance.
        center: whether to learn and add ``beta``.
        scale: whether to learn and multiply by ``gamma``.

    Call arguments:
        inputs: ``(..., dim)``, of at least two axes. The moments of 16-bit inputs are computed in float32.

    Returns:
        A tensor of the shape of ``inputs``, in the layer's compute dtype.
    """

    def __init__(self, epsilon: float = 1e-3, center: bool = True, scale: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.gamma: Any = None
        self.beta: Any = None
        self.supports_masking = True
        self.autocast = False  # a 16-bit layer normalizes float32 inputs without rounding them first

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        dim = last_dim(self, input_shape)
        if self.scale:
            self.gamma = self.add_weight(shape=(dim,), name="gamma", initializer="ones", autocast=False)
        if self.center:
            self.beta = self.add_weight(shape=(dim,), name="beta", initializer="zeros", autocast=False)

    def call(self, inputs: Any) -> Any:
        outputs = normalize(inputs, self.gamma, self.epsilon, center=True)
        if self.beta is not None:
            outputs = tf.nn.bias_add(outputs, tf.cast(self.beta, outputs.dtype))
        return tf.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon, "center": self.center, "scale": self.scale}


def last_dim(layer: keras.layers.Layer, input_shape: tuple[int | None, ...]) -> int:
    """Returns the width of the vectors to normalize.

    Args:
        layer: the layer, for the error message.
        input_shape: shape of its inputs.

    Raises:
        ValueError: the width is unknown, or there is only one axis.
    """
    dim = input_shape[-1] if len(input_shape) > 1 else None
    if dim is None:
        raise ValueError(
            f"{type(layer).__name__} got inputs of shape {tuple(input_shape)}, expected (..., dim) with a known dim"
        )
    return dim


def normalize(inputs: Any, gamma: Any, epsilon: float, *, center: bool) -> Any:
    r"""Scales vectors along the last axis to a mean square of one, then multiplies by ``gamma``.

    $$y = \gamma\, \hat x \qquad \hat x = d / r \qquad r = \sqrt{\overline{d^2} + \epsilon}$$

    with $d = x - \bar x$ or, without ``center``, $d = x$. With $w = \gamma\, \partial L / \partial y$ the gradient is

    $$\frac{\partial L}{\partial x} = \left(w - \bar w - \hat x\, \overline{w \hat x}\right) / r$$

    without $\bar w$ where $d = x$.

    Args:
        inputs: ``(..., dim)``.
        gamma: ``(dim,)``, or None for ones.
        epsilon: $\epsilon$, added to the mean square.
        center: whether to subtract the mean first.

    Returns:
        A tensor of the shape of ``inputs``, in float32 or wider.
    """
    inputs = tf.convert_to_tensor(inputs)
    wide = tf.float64 if inputs.dtype == tf.float64 else tf.float32
    gamma = tf.ones(inputs.shape[-1:], wide) if gamma is None else tf.cast(gamma, wide)

    @tf.custom_gradient
    def run(x: Any, gamma: Any) -> Any:
        deviation = x - _mean(x) if center else x  # (..., dim)
        inverse = tf.math.rsqrt(_mean(tf.square(deviation)) + epsilon)  # (..., 1)
        x_hat = deviation * inverse  # (..., dim)

        def backward(upstream: Any) -> Any:
            upstream_x_hat = upstream * x_hat  # (..., dim)
            d_x_hat = upstream * gamma  # (..., dim)
            d_deviation = d_x_hat - x_hat * _mean(upstream_x_hat * gamma)
            if center:
                d_deviation -= _mean(d_x_hat)
            # The kernel for biases sums columns in half the time of a general sum.
            d_gamma = tf.raw_ops.BiasAddGrad(out_backprop=upstream_x_hat)  # (dim,)
            return d_deviation * inverse, d_gamma

        return x_hat * gamma, backward

    return run(tf.cast(inputs, wide), gamma)


def _mean(values: Any) -> Any:
    """(..., dim) to (..., 1)."""
    return tf.reduce_mean(values, -1, keepdims=True)
