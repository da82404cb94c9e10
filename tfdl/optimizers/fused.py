"""What our optimizers share: one fused kernel for each change of a variable, and what belongs to the step done once."""

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf


class FusedOptimizer(keras.optimizers.Optimizer):
    """A Keras optimizer whose subclass gives the kernel's scalars, and the step of one variable.

    Keras asks for the learning rate, and so runs the schedule, once for each variable that decays; it writes the square
    of every gradient to memory for the global norm, and takes seven operations for each variable's average. Here the
    rate is asked for once a step, and a gradient's norm, decay and average are a kernel each.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One variable's decay and step; ``gradient`` is already reduced and clipped."""
        dtype = tf.as_dtype(variable.dtype)
        shared = learning_rate if isinstance(learning_rate, dict) else self._shared(learning_rate, [dtype])
        decay, scalars = shared[dtype.name]
        if self.weight_decay and self._use_weight_decay(variable):
            _subtract(variable, decay, tf.convert_to_tensor(variable))
        self._step(variable, tf.cast(tf.convert_to_tensor(gradient), dtype), scalars)

    def _scalars(self, rate: Any, dtype: tf.DType) -> dict[str, Any]:
        """What the kernel takes beside tensors, in the variable's dtype; ``rate`` is in it already."""
        raise NotImplementedError

    def _step(self, variable: Any, gradient: Any, scalars: dict[str, Any]) -> None:
        raise NotImplementedError

    def _shared(self, learning_rate: Any, dtypes: Iterable[tf.DType]) -> dict[str, tuple[Any, dict[str, Any]]]:
        """For each dtype: the share of a weight that decay takes, and the kernel's scalars."""
        shared = {}
        for dtype in dtypes:
            rate = tf.cast(learning_rate, dtype)
            shared[dtype.name] = rate * tf.constant(self.weight_decay or 0.0, dtype), self._scalars(rate, dtype)
        return shared

    def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> None:
        """What all variables share is computed here; Keras hands it on to ``update_step`` as the rate."""
        dtypes = {tf.as_dtype(variable.dtype) for variable in trainable_variables}
        super()._backend_update_step(grads, trainable_variables, self._shared(learning_rate, dtypes))

    def _clip_gradients(self, grads: Any) -> Any:
        """As Keras's; a global norm is that of all gradients also where their dtypes differ."""
        if not self.global_clipnorm:
            return super()._clip_gradients(grads)
        grads = [tf.convert_to_tensor(gradient) for gradient in grads]
        wide = tf.float64 if any(gradient.dtype == tf.float64 for gradient in grads) else tf.float32
        norm = tf.sqrt(2.0 * tf.add_n([tf.nn.l2_loss(tf.cast(gradient, wide)) for gradient in grads]))
        scale = self.global_clipnorm / tf.maximum(norm, self.global_clipnorm)
        scale += norm - norm  # not a number when the norm is infinite, as in Keras
        return [gradient * tf.cast(scale, gradient.dtype) for gradient in grads]

    def _apply_weight_decay(self, variables: Any) -> None:
        """Nothing: it is part of ``update_step``."""

    def _update_model_variables_moving_average(self, trainable_variables: Any) -> None:
        r"""$\bar\theta \leftarrow \bar\theta - (1 - \mu)(\bar\theta - \theta)$, and first $\theta$ itself."""
        shares: dict[str, Any] = {}
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            dtype = tf.as_dtype(variable.dtype)
            if dtype.name not in shares:
                one = tf.constant(1.0, dtype)
                later = tf.constant(1.0 - self.ema_momentum, dtype)
                shares[dtype.name] = tf.where(tf.equal(self.iterations, 0), one, later)
            difference = tf.convert_to_tensor(average) - tf.convert_to_tensor(variable)
            _subtract(average, shares[dtype.name], difference)


def handle_of(variable: Any) -> Any:
    """The resource handle, which fused kernels take, behind a Keras variable or a ``tf.Variable``."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


def _subtract(variable: Any, share: Any, tensor: Any) -> None:
    """``variable -= share * tensor``, in place."""
    tf.raw_ops.ResourceApplyGradientDescent(var=handle_of(variable), alpha=share, delta=tensor)
