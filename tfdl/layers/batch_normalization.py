r"""Batch normalization, on one rank or over all ranks."""

import operator
from typing import Any

import keras
import tensorflow as tf

from tfdl.distributed.world import SingleWorld, current_world
from tfdl.layers.batch_kernels import infer_by_kernel, kernels_pay, normalize_by_kernel
from tfdl.layers.batch_masks import mask_as_rows, swap_with_last
from tfdl.layers.batch_statistics import normalize

_PLAIN_ARGUMENTS = (
    "axis",
    "momentum",
    "epsilon",
    "center",
    "scale",
    "synchronized",
    "renorm",
    "renorm_clipping",
    "renorm_momentum",
)
_SERIALIZED_ARGUMENTS = (
    "beta_initializer",
    "gamma_initializer",
    "moving_mean_initializer",
    "moving_variance_initializer",
    "beta_regularizer",
    "gamma_regularizer",
    "beta_constraint",
    "gamma_constraint",
)


@keras.saving.register_keras_serializable(package="tfdl")
class BatchNormalization(keras.layers.Layer):
    r"""Normalizes each channel over the batch (Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167).

    In training, with $m$ values $x_i$ in a channel (over every axis but ``axis``):

    $$\mu = \tfrac1m \sum_i x_i \qquad \sigma^2 = \tfrac1m \sum_i (x_i - \mu)^2 \qquad
      y_i = \gamma\, \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta$$

    ``moving_mean = momentum * moving_mean + (1 - momentum) * mu``, and the same for ``moving_variance``.
    Inference uses the moving statistics for $\mu$ and $\sigma^2$. A layer with ``trainable = False`` runs in inference
    mode, as in Keras.

    With ``synchronized=True`` the statistics are taken over the samples of all ranks. The ranks exchange count, mean
    and sum of squared distances once in the forward pass, and two sums once in the backward pass.

    A drop-in replacement for ``keras.layers.BatchNormalization``, with the same arguments, defaults, weights and
    configuration. What differs from Keras (3.15):

    - Batch renormalization is not supported: ``renorm=True`` is an error.
    - A batch without any value, because it is empty or all of it is masked, leaves the moving statistics as they are.
      Keras moves them towards 0, or to NaN.
    - Sums over unmasked values are divided by their number. Keras adds 1e-7 to it.
    - A mask may have any number of axes up to that of the inputs. Keras takes only one less than the inputs have.

    Args:
        axis: the channel axis. The statistics are taken over all other axes.
        momentum: share of the old moving statistics that a training step keeps.
        epsilon: added to the variance.
        center: whether to learn and add ``beta``.
        scale: whether to learn and multiply by ``gamma``.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: initial values.
        beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint: as for any Keras weight.
        renorm: must be False.
        renorm_clipping, renorm_momentum: kept in the configuration, without effect.
        synchronized: whether statistics are taken over all ranks of ``tfdl.distributed.current_world()``.

    Call arguments:
        inputs: a tensor of at least two axes, such as ``(batch, height, width, channels)``. Statistics of float16 and
            bfloat16 inputs, and everything computed with them, are float32.
        training: whether to normalize by the batch's statistics, and to update the moving ones.
        mask: booleans of the shape of ``inputs`` without the last axes, or broadcastable to it: the mask is repeated
            along the axes that it lacks, as in Keras. With ``axis=1`` a mask ``(batch, channels)`` belongs to each
            channel. Masked values do not count in the statistics.

    Returns:
        A tensor of the shape of ``inputs``, in the layer's compute dtype.
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
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if renorm:
            raise ValueError(
                "BatchNormalization renorm=True, expected False; use keras.layers.BatchNormalization for batch"
                " renormalization, which has no synchronized statistics under Horovod"
            )
        try:
            self.axis = operator.index(axis)
        except TypeError as error:
            raise ValueError(f"BatchNormalization axis={axis!r}, expected one integer") from error
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.synchronized = synchronized
        self.renorm = renorm
        self.renorm_clipping = renorm_clipping
        self.renorm_momentum = renorm_momentum
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
        self.moving_mean: Any = None
        self.moving_variance: Any = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = self._check_shape(input_shape)

        def add_weight(name: str, **arguments: Any) -> Any:
            initializer = getattr(self, f"{name}_initializer")
            return self.add_weight(shape=(channels,), name=name, initializer=initializer, autocast=False, **arguments)

        if self.scale:
            self.gamma = add_weight("gamma", regularizer=self.gamma_regularizer, constraint=self.gamma_constraint)
        if self.center:
            self.beta = add_weight("beta", regularizer=self.beta_regularizer, constraint=self.beta_constraint)
        self.moving_mean = add_weight("moving_mean", trainable=False)
        self.moving_variance = add_weight("moving_variance", trainable=False)
        self.input_spec = keras.layers.InputSpec(ndim=len(input_shape), axes={self.axis: channels})

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        inputs = tf.convert_to_tensor(inputs)
        # Statistics and weights are float32 or wider, also for 16-bit inputs.
        dtype = keras.backend.result_type(inputs.dtype, "float32")
        moving_mean = tf.cast(self.moving_mean, dtype)
        moving_variance = tf.cast(self.moving_variance, dtype)
        gamma = tf.ones_like(moving_mean) if self.gamma is None else tf.cast(self.gamma, dtype)
        beta = tf.zeros_like(moving_mean) if self.beta is None else tf.cast(self.beta, dtype)
        if training and self.trainable:
            outputs, mean, variance, count = self._normalize_by_batch(inputs, gamma, beta, mask)
            self._update_moving(self.moving_mean, moving_mean, mean, count)
            self._update_moving(self.moving_variance, moving_variance, variance, count)
        else:
            outputs = self._normalize_by_moving(inputs, moving_mean, moving_variance, gamma, beta)
        return tf.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        self._check_axis(input_shape)
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in _PLAIN_ARGUMENTS}
        serialized = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in _SERIALIZED_ARGUMENTS}
        return {**super().get_config(), **plain, **serialized}

    def _check_shape(self, input_shape: tuple[int | None, ...]) -> int:
        """Returns the number of channels."""
        self._check_axis(input_shape)
        channels = input_shape[self.axis]
        if channels is None:
            raise ValueError(
                f"BatchNormalization needs a known size on its channel axis {self.axis}, got shape {tuple(input_shape)}"
            )
        return channels

    def _check_axis(self, input_shape: tuple[int | None, ...]) -> None:
        rank = len(input_shape)
        if rank < 2 or not -rank <= self.axis < rank:
            raise ValueError(f"BatchNormalization axis={self.axis} does not fit inputs of shape {tuple(input_shape)}")

    def _is_channels_last(self, inputs: Any) -> bool:
        return self.axis in (-1, inputs.shape.rank - 1)

    def _normalize_by_batch(self, inputs: Any, gamma: Any, beta: Any, mask: Any) -> tuple[Any, Any, Any, Any]:
        """The outputs, the mean and variance of the batch, and the count of values behind them."""
        world = current_world() if self.synchronized else SingleWorld()
        is_channels_last = self._is_channels_last(inputs)
        values = inputs if is_channels_last else swap_with_last(inputs, self.axis)  # (batch, ..., channels)
        if mask is None and kernels_pay(values):
            outputs, *statistics = normalize_by_kernel(values, gamma, beta, self.epsilon, world)
        else:
            weight = None if mask is None else tf.cast(mask_as_rows(mask, inputs, self.axis), gamma.dtype)
            outputs, *statistics = normalize(values, gamma, beta, self.epsilon, world, weight)
        if not is_channels_last:
            outputs = swap_with_last(outputs, self.axis)
        outputs.set_shape(inputs.shape)
        return outputs, *statistics

    def _normalize_by_moving(self, inputs: Any, mean: Any, variance: Any, gamma: Any, beta: Any) -> Any:
        """Inference: ``inputs * factor + offset``, one multiplication and one addition for each value."""
        if self._is_channels_last(inputs) and kernels_pay(inputs):
            outputs = infer_by_kernel(inputs, mean, variance, gamma, beta, self.epsilon)
        else:
            factor = gamma * tf.math.rsqrt(variance + self.epsilon)
            offset = beta - mean * factor
            shape = [1] * inputs.shape.rank
            shape[self.axis] = -1
            outputs = tf.cast(inputs, factor.dtype) * tf.reshape(factor, shape) + tf.reshape(offset, shape)
        outputs.set_shape(inputs.shape)
        return outputs

    def _update_moving(self, moving: Any, old: Any, value: Any, count: Any) -> None:
        """Moves one statistic a step towards ``value``. A batch without any value leaves it unchanged."""
        new = old * self.momentum + value * (1.0 - self.momentum)
        moving.assign(tf.cast(tf.where(count > 0, new, old), moving.dtype))
