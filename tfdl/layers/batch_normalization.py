r"""Batch normalization, on one rank or over all of them."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.distributed.world import SingleWorld, current_world
from tfdl.layers.batch_kernels import inferred_by_kernel, kernels_pay, normalized_by_kernel
from tfdl.layers.batch_statistics import normalized


@keras.saving.register_keras_serializable(package="tfdl")
class BatchNormalization(keras.layers.Layer):
    r"""Normalizes each channel over the batch (Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167).

    Training, with $m$ values $x_i$ in a channel (every axis but ``axis``):

    $$\mu = \tfrac1m \sum_i x_i \qquad \sigma^2 = \tfrac1m \sum_i (x_i - \mu)^2 \qquad
      y_i = \gamma\, \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta$$

    ``moving_mean = momentum * moving_mean + (1 - momentum) * mu``, and the same for ``moving_variance``.
    Inference takes the moving statistics for $\mu$ and $\sigma^2$. A layer with ``trainable = False`` runs in inference
    mode, as in Keras.

    With ``synchronized=True`` the statistics are those of the samples of all ranks: the ranks exchange count, mean and
    sum of squared distances once in the forward pass, and two sums in the backward pass.

    A drop-in for ``keras.layers.BatchNormalization``, with the same arguments and defaults but for batch
    renormalization: ``renorm``, ``renorm_clipping`` and ``renorm_momentum`` are not taken.

    Args:
        axis: the channel axis; every other axis is normalized over.
        momentum: share of the old moving statistics kept at each training step.
        epsilon: added to the variance.
        center: whether to learn and add ``beta``.
        scale: whether to learn and multiply by ``gamma``.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: initial values.
        beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint: as for any Keras weight.
        synchronized: whether statistics are taken over all ranks of ``tfdl.distributed.current_world()``.

    Call arguments:
        inputs: any rank of at least 2, such as ``(batch, height, width, channels)``; statistics of float16 and bfloat16
            inputs, and all that is computed with them, are float32.
        training: whether to use and update with the batch's statistics.
        mask: booleans of the shape of ``inputs`` up to the channel axis, or broadcastable to it; masked positions
            count in no statistic.

    Returns:
        A tensor of the shape of ``inputs`` in the layer's compute dtype.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        synchronized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not isinstance(axis, int):
            raise ValueError(f"BatchNormalization axis={axis!r}, expected one integer")
        self.axis, self.momentum, self.epsilon = axis, float(momentum), float(epsilon)
        self.center, self.scale, self.synchronized = center, scale, synchronized
        self.beta_initializer = keras.initializers.get(beta_initializer)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.moving_mean_initializer = keras.initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = keras.initializers.get(moving_variance_initializer)
        self.beta_regularizer = keras.regularizers.get(beta_regularizer)
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)
        self.beta_constraint = keras.constraints.get(beta_constraint)
        self.gamma_constraint = keras.constraints.get(gamma_constraint)
        self.supports_masking = True
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = self._check_shape(input_shape)

        def weight(name: str, **arguments: Any) -> Any:
            initializer = getattr(self, f"{name}_initializer")
            return self.add_weight(shape=(channels,), name=name, initializer=initializer, autocast=False, **arguments)

        if self.scale:
            self.gamma = weight("gamma", regularizer=self.gamma_regularizer, constraint=self.gamma_constraint)
        if self.center:
            self.beta = weight("beta", regularizer=self.beta_regularizer, constraint=self.beta_constraint)
        self.moving_mean = weight("moving_mean", trainable=False)
        self.moving_variance = weight("moving_variance", trainable=False)
        self.input_spec = keras.layers.InputSpec(ndim=len(input_shape), axes={self.axis: channels})

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        inputs = tf.convert_to_tensor(inputs)
        dtype = keras.backend.result_type(inputs.dtype, "float32")  # of statistics and weights, whatever the inputs are
        moving_mean, moving_variance = tf.cast(self.moving_mean, dtype), tf.cast(self.moving_variance, dtype)
        gamma = tf.ones_like(moving_mean) if self.gamma is None else tf.cast(self.gamma, dtype)
        beta = tf.zeros_like(moving_mean) if self.beta is None else tf.cast(self.beta, dtype)
        if not (training and self.trainable):
            outputs = self._inferred(inputs, moving_mean, moving_variance, gamma, beta)
        else:
            outputs, mean, variance, count = self._normalized(inputs, gamma, beta, mask)
            self._move(self.moving_mean, moving_mean, mean, count)
            self._move(self.moving_variance, moving_variance, variance, count)
        return tf.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        serialized = {
            name: keras.saving.serialize_keras_object(getattr(self, name))
            for name in (
                "beta_initializer",
                "gamma_initializer",
                "moving_mean_initializer",
                "moving_variance_initializer",
                "beta_regularizer",
                "gamma_regularizer",
                "beta_constraint",
                "gamma_constraint",
            )
        }
        plain = {
            name: getattr(self, name) for name in ("axis", "momentum", "epsilon", "center", "scale", "synchronized")
        }
        return {**super().get_config(), **plain, **serialized}

    def _check_shape(self, input_shape: tuple[int | None, ...]) -> int:
        if not -len(input_shape) <= self.axis < len(input_shape) or len(input_shape) < 2:
            raise ValueError(f"BatchNormalization axis={self.axis} does not fit inputs of shape {tuple(input_shape)}")
        channels = input_shape[self.axis]
        if channels is None:
            raise ValueError(
                f"BatchNormalization needs a known size on its channel axis {self.axis}, got shape {tuple(input_shape)}"
            )
        return channels

    def _channels_last(self, inputs: Any) -> bool:
        return self.axis in (-1, inputs.shape.rank - 1)

    def _normalized(self, inputs: Any, gamma: Any, beta: Any, mask: Any) -> tuple[Any, Any, Any, Any]:
        """The outputs by the batch's statistics, those statistics, and the count of values that they are taken over."""
        world = current_world() if self.synchronized else SingleWorld()
        last = inputs if self._channels_last(inputs) else _swap_axis(inputs, self.axis)
        if mask is None and kernels_pay(last):
            outputs, *statistics = normalized_by_kernel(last, gamma, beta, self.epsilon, world)
        else:
            weight = None if mask is None else tf.cast(self._mask_weights(mask, inputs), gamma.dtype)
            outputs, *statistics = normalized(last, gamma, beta, self.epsilon, world, weight)
        outputs = outputs if last is inputs else _swap_axis(outputs, self.axis)
        outputs.set_shape(inputs.shape)
        return outputs, *statistics

    def _mask_weights(self, mask: Any, inputs: Any) -> Any:
        """The mask as one column, a row for each position that is normalized over."""
        mask = tf.convert_to_tensor(mask)
        if mask.shape.rank < inputs.shape.rank:
            mask = tf.reshape(mask, tf.concat([tf.shape(mask), [1] * (inputs.shape.rank - mask.shape.rank)], 0))
        shape = tf.tensor_scatter_nd_update(tf.shape(inputs), [[self.axis % inputs.shape.rank]], [1])
        full = tf.broadcast_to(mask, shape)
        return tf.reshape(full if self._channels_last(inputs) else _swap_axis(full, self.axis), [-1, 1])

    def _inferred(self, inputs: Any, mean: Any, variance: Any, gamma: Any, beta: Any) -> Any:
        """Inference: y = x * factor + offset, one multiplication and one addition for each value."""
        if self._channels_last(inputs) and kernels_pay(inputs):
            outputs = inferred_by_kernel(inputs, mean, variance, gamma, beta, self.epsilon)
        else:
            factor = gamma * tf.math.rsqrt(variance + self.epsilon)
            offset = beta - mean * factor
            shape = [1] * inputs.shape.rank
            shape[self.axis] = -1
            outputs = tf.cast(inputs, factor.dtype) * tf.reshape(factor, shape) + tf.reshape(offset, shape)
        outputs.set_shape(inputs.shape)
        return outputs

    def _move(self, moving: Any, before: Any, value: Any, count: Any) -> None:
        """One step of a moving statistic; a batch without a single value leaves it as it is."""
        moved = before * self.momentum + value * (1.0 - self.momentum)
        moving.assign(tf.cast(tf.where(count > 0, moved, before), moving.dtype))


def _swap_axis(tensor: Any, axis: int) -> Any:
    """Exchanges ``axis`` and the last one."""
    order = list(range(tensor.shape.rank))
    order[axis], order[-1] = order[-1], order[axis]
    return tf.transpose(tensor, order)
