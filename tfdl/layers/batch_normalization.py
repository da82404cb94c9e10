r"""Batch normalization, on one rank or over all of them."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.distributed.world import SingleWorld, World, current_statistics_weight, current_world
from tfdl.layers.batch_statistics import FUSED_DTYPES, fused, fused_over_ranks, normalize_rows


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
    sum of squared distances once in the forward pass, and two sums in the backward pass. A drop-in for
    ``keras.layers.BatchNormalization``, with the same arguments and defaults.

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
        inputs: any rank of at least 2, such as ``(batch, height, width, channels)``; float16 and bfloat16 inputs have
            float32 statistics.
        training: whether to use and update with the batch's statistics.
        mask: booleans of the shape of ``inputs`` up to the channel axis, or broadcastable to it; masked positions
            count in no statistic.

    Returns:
        A tensor of the shape and dtype of ``inputs``.
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
        shape = (channels,)
        if self.scale:
            self.gamma = self.add_weight(
                shape=shape,
                name="gamma",
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                autocast=False,
            )
        if self.center:
            self.beta = self.add_weight(
                shape=shape,
                name="beta",
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                autocast=False,
            )
        self.moving_mean = self.add_weight(
            shape=shape,
            name="moving_mean",
            initializer=self.moving_mean_initializer,
            trainable=False,
            autocast=False,
        )
        self.moving_variance = self.add_weight(
            shape=shape,
            name="moving_variance",
            initializer=self.moving_variance_initializer,
            trainable=False,
            autocast=False,
        )
        self.input_spec = keras.layers.InputSpec(ndim=len(input_shape), axes={self.axis: channels})

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        inputs = tf.convert_to_tensor(inputs)
        gamma = tf.ones_like(self.moving_mean) if self.gamma is None else tf.convert_to_tensor(self.gamma)
        beta = tf.zeros_like(self.moving_mean) if self.beta is None else tf.convert_to_tensor(self.beta)
        if not (training and self.trainable):
            return self._affine(inputs, self.moving_mean, self.moving_variance, gamma, beta)

        world = current_world() if self.synchronized else SingleWorld()
        if mask is None and self._fused_applies(inputs):
            normalize = fused if world.size == 1 else fused_over_ranks
            outputs, mean, variance, count = normalize(inputs, gamma, beta, self.epsilon, world)
        else:
            outputs, mean, variance, count = self._general(inputs, gamma, beta, mask, world)
        self._move(self.moving_mean, mean, count)
        self._move(self.moving_variance, variance, count)
        return outputs

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

    def _fused_applies(self, inputs: Any) -> bool:
        """TensorFlow has one kernel for the whole forward pass (and one for the backward) of channels-last images."""
        return inputs.shape.rank == 4 and self._channels_last(inputs) and inputs.dtype in FUSED_DTYPES

    def _general(self, inputs: Any, gamma: Any, beta: Any, mask: Any, world: World) -> tuple[Any, Any, Any, Any]:
        """Any rank, axis and mask: rows of channels, with the moments written out."""
        last = inputs if self._channels_last(inputs) else _swap_axis(inputs, self.axis)
        rows = tf.cast(tf.reshape(last, [-1, last.shape[-1]]), gamma.dtype)  # (m, channels)
        weight = tf.ones_like(rows[:, :1]) if mask is None else tf.cast(self._mask_weights(mask, inputs), rows.dtype)
        weight *= tf.cast(current_statistics_weight(), rows.dtype)
        normalized, mean, variance, count = normalize_rows(rows, weight, self.epsilon, world)
        outputs = tf.cast(tf.reshape(normalized * gamma + beta, tf.shape(last)), inputs.dtype)
        outputs = outputs if last is inputs else _swap_axis(outputs, self.axis)
        outputs.set_shape(inputs.shape)
        return outputs, mean, variance, count

    def _mask_weights(self, mask: Any, inputs: Any) -> Any:
        """The mask as one column, a row for each position that is normalized over."""
        mask = tf.convert_to_tensor(mask)
        if mask.shape.rank < inputs.shape.rank:
            mask = tf.reshape(mask, tf.concat([tf.shape(mask), [1] * (inputs.shape.rank - mask.shape.rank)], 0))
        shape = tf.tensor_scatter_nd_update(tf.shape(inputs), [[self.axis % inputs.shape.rank]], [1])
        full = tf.broadcast_to(mask, shape)
        return tf.reshape(full if self._channels_last(inputs) else _swap_axis(full, self.axis), [-1, 1])

    def _affine(self, inputs: Any, mean: Any, variance: Any, gamma: Any, beta: Any) -> Any:
        """Inference: y = x * factor + offset, one multiplication and one addition for each value."""
        factor = gamma * tf.math.rsqrt(variance + self.epsilon)
        offset = beta - mean * factor
        shape = [1] * inputs.shape.rank
        shape[self.axis] = -1
        outputs = tf.cast(inputs, factor.dtype) * tf.reshape(factor, shape) + tf.reshape(offset, shape)
        return tf.cast(outputs, inputs.dtype)

    def _move(self, moving: Any, value: Any, count: Any) -> None:
        """One step of a moving statistic; a batch without a single value leaves it as it is."""
        moved = moving * self.momentum + tf.cast(value, moving.dtype) * (1.0 - self.momentum)
        moving.assign(tf.where(count > 0, moved, moving))


def _swap_axis(tensor: Any, axis: int) -> Any:
    """Exchanges ``axis`` and the last one."""
    order = list(range(tensor.shape.rank))
    order[axis], order[-1] = order[-1], order[axis]
    return tf.transpose(tensor, order)
