r"""Adam."""

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from tfdl.optimizers.fused import handle_of


@keras.saving.register_keras_serializable(package="tfdl")
class Adam(keras.optimizers.Optimizer):
    r"""Steps scaled by running moments of the gradient (Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980).

    At step $t$ (from 1), with gradient $g$ and learning rate $\eta$:

    $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2$$
    $$\theta \leftarrow \theta - \eta\, \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}\, \frac{m}{\sqrt{v} + \epsilon}$$

    $\epsilon$ stands outside the root and is not corrected for bias, as in the paper's section 2 and in Keras. With
    ``amsgrad`` the largest $v$ so far takes the place of $v$ in the step (Reddi et al., 2018). A drop-in for
    ``keras.optimizers.Adam``, with its arguments and defaults; each dense variable is updated by one fused kernel.

    Args:
        learning_rate: $\eta$, a number or a ``keras.optimizers.schedules.LearningRateSchedule``.
        beta_1, beta_2: decay of the two moments, in [0, 1).
        epsilon: $\epsilon$.
        amsgrad: whether to keep the largest second moment.
        **kwargs: ``weight_decay``, ``clipnorm``, ``global_clipnorm``, ``use_ema``, ``name`` and so on, as in Keras.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        name: str = "adam",
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad

    def build(self, variables: Any) -> None:
        """Creates a zero of each moment for every variable."""
        if self.built:
            return
        super().build(variables)
        self._m, self._v = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        if self.amsgrad:
            self._v_max = self.add_optimizer_variables(variables, "velocity_hat")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One variable's decay and step; ``gradient`` is already reduced and clipped."""
        index, dtype = self._get_variable_index(variable), tf.as_dtype(variable.dtype)
        shared = learning_rate if isinstance(learning_rate, dict) else self._scalars(learning_rate, [dtype])
        decay, scalars = shared[dtype.name]
        if self.weight_decay and self._use_weight_decay(variable):
            tf.raw_ops.ResourceApplyGradientDescent(
                var=handle_of(variable), alpha=decay, delta=tf.convert_to_tensor(variable)
            )
        gradient = tf.cast(tf.convert_to_tensor(gradient), dtype)
        m, v = self._m[index], self._v[index]
        if not self.amsgrad:
            tf.raw_ops.ResourceApplyAdam(
                var=handle_of(variable), m=handle_of(m), v=handle_of(v), grad=gradient, **scalars
            )
            return
        # Written out: XLA has no kernel for the fused one.
        v_max, one = self._v_max[index], tf.constant(1.0, dtype)
        m.assign_add((gradient - m) * (one - scalars["beta1"]))
        v.assign_add((tf.square(gradient) - v) * (one - scalars["beta2"]))
        v_max.assign(tf.maximum(v_max, v))
        rate = scalars["lr"] * tf.sqrt(one - scalars["beta2_power"]) / (one - scalars["beta1_power"])
        variable.assign_sub(rate * m / (tf.sqrt(v_max) + scalars["epsilon"]))

    def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> None:
        """What all variables share is computed once a step; Keras hands it on to ``update_step`` as the rate."""
        dtypes = {tf.as_dtype(variable.dtype) for variable in trainable_variables}
        super()._backend_update_step(grads, trainable_variables, self._scalars(learning_rate, dtypes))

    def _clip_gradients(self, grads: Any) -> Any:
        """As Keras's, but a global norm comes from one kernel a gradient, and no squares are written to memory."""
        if not self.global_clipnorm:
            return super()._clip_gradients(grads)
        grads = [tf.convert_to_tensor(gradient) for gradient in grads]
        wide = tf.float64 if any(gradient.dtype == tf.float64 for gradient in grads) else tf.float32
        norm = tf.sqrt(2.0 * tf.add_n([tf.nn.l2_loss(tf.cast(gradient, wide)) for gradient in grads]))
        scale = self.global_clipnorm / tf.maximum(norm, self.global_clipnorm)
        scale += norm - norm  # not a number when the norm is infinite, as in Keras
        return [gradient * tf.cast(scale, gradient.dtype) for gradient in grads]

    def _apply_weight_decay(self, variables: Any) -> None:
        """Nothing: Keras would ask for the rate, and so run the schedule, once for each variable."""

    def _scalars(self, learning_rate: Any, dtypes: Iterable[tf.DType]) -> dict[str, tuple[Any, dict[str, Any]]]:
        """In each dtype: the share that weight decay takes, and the scalars of the fused kernel."""
        shared = {}
        for dtype in dtypes:
            # Constants made in this dtype: a cast would round them to float32 first.
            beta_1, beta_2 = tf.constant(self.beta_1, dtype), tf.constant(self.beta_2, dtype)
            rate, step = tf.cast(learning_rate, dtype), tf.cast(self.iterations + 1, dtype)
            shared[dtype.name] = (
                rate * tf.constant(self.weight_decay or 0.0, dtype),
                {
                    "lr": rate,
                    "beta1": beta_1,
                    "beta2": beta_2,
                    "beta1_power": tf.pow(beta_1, step),
                    "beta2_power": tf.pow(beta_2, step),
                    "epsilon": tf.constant(self.epsilon, dtype),
                },
            )
        return shared

    def get_config(self) -> dict[str, Any]:
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}
        return {**super().get_config(), **own}
