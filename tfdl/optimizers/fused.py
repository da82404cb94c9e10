"""The base class of tfdl's optimizers, which updates each variable in one fused kernel."""

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf


class FusedOptimizer(keras.optimizers.Optimizer):
    """A Keras optimizer whose subclasses define the scalars of a fused kernel and the update of one variable.

    Keras computes the learning rate, and thus runs the schedule, once for each variable that decays. It writes the
    square of every gradient to memory for the global norm, and takes seven operations for the average of each variable.
    This class computes the rate once for each step. The norm of a gradient, the decay and the average take one kernel
    each.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Decays and updates one variable.

        Args:
            gradient: the gradient, already reduced over ranks and clipped.
            variable: the variable.
            learning_rate: the learning rate, or what ``_backend_update_step`` passes in its place.
        """
        dtype = tf.as_dtype(variable.dtype)
        if isinstance(learning_rate, dict):
            scalars_by_dtype = learning_rate
        else:
            scalars_by_dtype = self._scalars_by_dtype(learning_rate, [dtype])
        decay, kernel_scalars = scalars_by_dtype[dtype.name]
        if self.weight_decay and self._use_weight_decay(variable):
            _subtract(variable, decay, tf.convert_to_tensor(variable))
        self._update_variable(variable, tf.cast(tf.convert_to_tensor(gradient), dtype), kernel_scalars)

    def _kernel_scalars(self, rate: Any, dtype: tf.DType) -> dict[str, Any]:
        """Returns the scalar arguments of the kernel, in the dtype of the variable.

        Args:
            rate: the learning rate, in ``dtype``.
            dtype: of the variable.
        """
        raise NotImplementedError

    def _update_variable(self, variable: Any, gradient: Any, scalars: dict[str, Any]) -> None:
        """Runs the kernel on one variable.

        Args:
            variable: the variable.
            gradient: in the dtype of the variable.
            scalars: from ``_kernel_scalars``.
        """
        raise NotImplementedError

    def _scalars_by_dtype(
        self, learning_rate: Any, dtypes: Iterable[tf.DType]
    ) -> dict[str, tuple[Any, dict[str, Any]]]:
        """For each dtype, by name: the factor by which decay shrinks a weight, and the scalars of the kernel."""
        scalars = {}
        for dtype in dtypes:
            rate = tf.cast(learning_rate, dtype)
            decay = rate * tf.constant(self.weight_decay or 0.0, dtype)
            scalars[dtype.name] = (decay, self._kernel_scalars(rate, dtype))
        return scalars

    def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> None:
        """Computes once what all variables share. Keras passes it to ``update_step`` as the learning rate."""
        dtypes = {tf.as_dtype(variable.dtype) for variable in trainable_variables}
        scalars_by_dtype = self._scalars_by_dtype(learning_rate, dtypes)
        super()._backend_update_step(grads, trainable_variables, scalars_by_dtype)

    def _clip_gradients(self, grads: Any) -> Any:
        """Clips as Keras does. The global norm also covers gradients of different dtypes."""
        if not self.global_clipnorm:
            return super()._clip_gradients(grads)
        grads = [tf.convert_to_tensor(gradient) for gradient in grads]
        has_float64 = any(gradient.dtype == tf.float64 for gradient in grads)
        wide = tf.float64 if has_float64 else tf.float32
        half_squares = [tf.nn.l2_loss(tf.cast(gradient, wide)) for gradient in grads]
        norm = tf.sqrt(2.0 * tf.add_n(half_squares))
        scale = self.global_clipnorm / tf.maximum(norm, self.global_clipnorm)
        scale += norm - norm  # NaN if the norm is infinite, as in Keras; otherwise 0
        return [gradient * tf.cast(scale, gradient.dtype) for gradient in grads]

    def _apply_weight_decay(self, variables: Any) -> None:
        """Does nothing: ``update_step`` applies the decay."""

    def _update_model_variables_moving_average(self, trainable_variables: Any) -> None:
        r"""Updates the averages: $\bar\theta \leftarrow \bar\theta - (1 - \mu)(\bar\theta - \theta)$.

        In the first step the average becomes $\theta$.
        """
        rates: dict[str, Any] = {}
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            dtype = tf.as_dtype(variable.dtype)
            if dtype.name not in rates:
                is_first_step = tf.equal(self.iterations, 0)
                first_rate = tf.constant(1.0, dtype)
                later_rate = tf.constant(1.0 - self.ema_momentum, dtype)
                rates[dtype.name] = tf.where(is_first_step, first_rate, later_rate)
            difference = tf.convert_to_tensor(average) - tf.convert_to_tensor(variable)
            _subtract(average, rates[dtype.name], difference)


def handle_of(variable: Any) -> Any:
    """Returns the resource handle of a Keras variable or a ``tf.Variable``, which fused kernels take."""
    if isinstance(variable, keras.Variable):
        variable = variable.value
    return variable.handle


def _subtract(variable: Any, factor: Any, tensor: Any) -> None:
    """Computes ``variable -= factor * tensor`` in place."""
    # Gradient descent is this very operation.
    tf.raw_ops.ResourceApplyGradientDescent(var=handle_of(variable), alpha=factor, delta=tensor)
