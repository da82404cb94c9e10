"""The base class of tfdl's optimizers, which updates each variable in one fused kernel."""

import dataclasses
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.common import global_state

from tfdl.optimizers.rows import replace_values, values_of, with_different_rows
from tfdl.optimizers.variables import subtract, tf_variable

_SHARED = "_tfdl_shared"
# In `.h5` files, names of tfdl's optimizers begin with this.
_H5_PREFIX = "tfdl>"


class FusedOptimizer(keras.optimizers.Optimizer):
    """A Keras optimizer whose subclasses define the scalars of a fused kernel and the update of one variable.

    Keras computes the learning rate, and thus runs the schedule, once for each variable that decays. It writes the
    square of every gradient to memory for the global norm, and takes seven operations for the average of each variable.
    This class computes the rate once for each step. The norm of a gradient, the decay and the average take one kernel
    each.
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Does one step, as every Keras optimizer does.

        Args:
            grads: the gradients; ``None`` for a variable that keeps its value.
            trainable_variables: the variables, by default those that the optimizer was built with.
        """
        if self.loss_scale_factor is not None:
            # Keras divides by the factor, and Python cannot divide rows by a number.
            grads = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in grads]
        super().apply(grads, trainable_variables)

    def get_config(self) -> dict[str, Any]:
        """The configuration. In a ``.h5`` file the name is another one than that of an optimizer of Keras.

        In a process where this class is not registered, Keras makes the optimizer by the name in such a file, with
        default arguments and without a warning. With this name it raises an error.
        """
        config = super().get_config()
        if global_state.get_global_attribute("use_legacy_config", False):
            config["name"] = f"{_H5_PREFIX}{self.name}"
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Makes an optimizer from its configuration.

        Args:
            config: from ``get_config``.
            custom_objects: classes and functions by name, as for every Keras optimizer.
        """
        name = config.get("name")
        if isinstance(name, str):
            config = {**config, "name": name.removeprefix(_H5_PREFIX)}
        return super().from_config(config, custom_objects)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable, which has decayed before.

        Args:
            gradient: the gradient, already reduced over ranks and clipped: a tensor or ``tf.IndexedSlices``.
            variable: the variable.
            learning_rate: the learning rate.
        """
        dtype = tf.as_dtype(variable.dtype)
        shared = self.__dict__.get(_SHARED)
        if shared is not None and shared.learning_rate is learning_rate:
            scalars = shared.scalars_by_dtype[dtype.name]
        else:
            scalars = self._kernel_scalars(tf.cast(learning_rate, dtype), dtype)
        gradient = tf.cast(gradient, dtype)
        if isinstance(gradient, tf.IndexedSlices):
            self._update_rows(variable, gradient, scalars)
        else:
            self._update_variable(variable, gradient, scalars)

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

    def _update_rows(self, variable: Any, gradient: tf.IndexedSlices, scalars: dict[str, Any]) -> None:
        """Updates a variable by a gradient of some of its rows, here by that of the whole variable.

        Args:
            variable: the variable.
            gradient: in the dtype of the variable. A row may occur several times; its gradient is the sum.
            scalars: from ``_kernel_scalars``.
        """
        self._update_variable(variable, tf.convert_to_tensor(gradient), scalars)

    def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> None:
        """Decays all variables, then updates them. What they share is computed once.

        Args:
            grads: the gradients, reduced and clipped.
            trainable_variables: the variables.
            learning_rate: the learning rate. By it, ``update_step`` recognizes what was computed here.
        """
        scalars_by_dtype = {}
        decays = {}
        for dtype in {tf.as_dtype(variable.dtype) for variable in trainable_variables}:
            rate = tf.cast(learning_rate, dtype)
            scalars_by_dtype[dtype.name] = self._kernel_scalars(rate, dtype)
            decays[dtype.name] = rate * tf.constant(self.weight_decay or 0.0, dtype)
        if self.weight_decay:
            tf.__internal__.distribute.interim.maybe_merge_call(
                self._decay, self._distribution_strategy, trainable_variables, decays
            )
        self.__dict__[_SHARED] = _Shared(learning_rate, scalars_by_dtype)  # not an attribute that Keras would track
        try:
            super()._backend_update_step(grads, trainable_variables, learning_rate)
        finally:
            del self.__dict__[_SHARED]  # the tensors belong to the graph of this step

    def _decay(self, distribution: Any, variables: Any, decays: dict[str, Any]) -> None:
        """Shrinks the variables on all devices.

        Args:
            distribution: TensorFlow's strategy for devices.
            variables: the variables.
            decays: for each dtype, by name, the share by which a variable shrinks.
        """
        for variable in map(tf_variable, variables):
            if self._use_weight_decay(variable):
                decay = decays[tf.as_dtype(variable.dtype).name]
                distribution.extended.update(variable, _shrink, args=(decay,), group=False)

    def _clip_gradients(self, grads: Any) -> Any:
        """Clips as Keras does. The global norm also covers gradients of different dtypes.

        What is clipped is the gradient: rows that occur several times are added up before.
        """
        if not (self.clipnorm or self.clipvalue or self.global_clipnorm):
            return grads
        grads = [with_different_rows(gradient) for gradient in grads]
        if not self.global_clipnorm or self.global_clipnorm < 0:
            return super()._clip_gradients(grads)
        values = [values_of(gradient) for gradient in grads]
        has_float64 = any(value.dtype == tf.float64 for value in values)
        wide = tf.float64 if has_float64 else tf.float32
        half_squares = [tf.nn.l2_loss(tf.cast(value, wide)) for value in values]
        norm = tf.sqrt(2.0 * tf.add_n(half_squares))
        scale = self.global_clipnorm / tf.maximum(norm, self.global_clipnorm)
        scale += norm - norm  # NaN if the norm is infinite, as in Keras; otherwise 0
        scaled = [value * tf.cast(scale, value.dtype) for value in values]
        return [replace_values(gradient, value) for gradient, value in zip(grads, scaled, strict=True)]

    def _apply_weight_decay(self, variables: Any) -> None:
        """Does nothing: ``_backend_update_step`` applies the decay, since it has the learning rate of the step."""

    def _update_model_variables_moving_average(self, trainable_variables: Any) -> None:
        r"""Updates the averages: $\bar\theta \leftarrow \bar\theta - (1 - \mu)(\bar\theta - \theta)$.

        In the first step the average becomes $\theta$.
        """
        rates: dict[str, Any] = {}
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            if average is None:
                continue  # a variable that is replaced by its gradient
            dtype = tf.as_dtype(variable.dtype)
            if dtype.name not in rates:
                is_first_step = tf.equal(self.iterations, 0)
                first_rate = tf.constant(1.0, dtype)
                later_rate = tf.constant(1.0 - self.ema_momentum, dtype)
                rates[dtype.name] = tf.where(is_first_step, first_rate, later_rate)
            difference = tf.convert_to_tensor(average) - tf.convert_to_tensor(variable)
            subtract(average, rates[dtype.name], difference)

    def _overwrite_model_variables_with_average_value(self, trainable_variables: Any) -> None:
        """Gives the variables their averages, if they have one."""
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            if average is not None:
                self._distribution_strategy.extended.update(
                    tf_variable(variable), lambda replica, value: replica.assign(value), args=(average,)
                )


@dataclasses.dataclass(frozen=True)
class _Shared:
    """What the variables of one step share."""

    learning_rate: Any
    scalars_by_dtype: dict[str, dict[str, Any]]


def _shrink(variable: Any, decay: Any) -> None:
    subtract(variable, decay, tf.convert_to_tensor(variable))
