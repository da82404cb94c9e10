r"""Adam."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.optimizers.fused import FusedOptimizer, handle_of


@keras.saving.register_keras_serializable(package="tfdl")
class Adam(FusedOptimizer):
    r"""Adam: steps scaled by running moments of the gradient (Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980).

    At step $t$ (from 1), with gradient $g$ and learning rate $\eta$:

    $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2$$
    $$\theta \leftarrow \theta - \eta\, \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}\, \frac{m}{\sqrt{v} + \epsilon}$$

    $\epsilon$ is outside the root and is not corrected for bias, as in section 2 of the paper and in Keras. With
    ``amsgrad`` the step uses the largest $v$ so far instead of $v$ (Reddi et al., 2018).

    A drop-in replacement for ``keras.optimizers.Adam``, with the same arguments and defaults. One fused kernel updates
    each dense variable.

    Args:
        learning_rate: $\eta$, a number or a ``keras.optimizers.schedules.LearningRateSchedule``.
        beta_1, beta_2: decay rates of the two moments, in [0, 1).
        epsilon: $\epsilon$.
        amsgrad: whether to use the largest second moment.
        name: of the optimizer.
        **kwargs: ``weight_decay``, ``clipnorm``, ``global_clipnorm``, ``use_ema`` and so on, as in Keras.
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def build(self, variables: Any) -> None:
        """Creates the moments of every variable, with zeros."""
        if self.built:
            return
        super().build(variables)
        self._m, self._v = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        if self.amsgrad:
            self._v_max = self.add_optimizer_variables(variables, "velocity_hat")

    def _kernel_scalars(self, rate: Any, dtype: tf.DType) -> dict[str, Any]:
        # The constants are made in this dtype: a cast to float64 would round them to float32 first.
        beta_1 = tf.constant(self.beta_1, dtype)
        beta_2 = tf.constant(self.beta_2, dtype)
        step = tf.cast(self.iterations + 1, dtype)
        return {
            "lr": rate,
            "beta1": beta_1,
            "beta2": beta_2,
            "beta1_power": tf.pow(beta_1, step),
            "beta2_power": tf.pow(beta_2, step),
            "epsilon": tf.constant(self.epsilon, dtype),
        }

    def _update_variable(self, variable: Any, gradient: Any, scalars: dict[str, Any]) -> None:
        index = self._get_variable_index(variable)
        m = self._m[index]
        v = self._v[index]
        if not self.amsgrad:
            tf.raw_ops.ResourceApplyAdam(
                var=handle_of(variable), m=handle_of(m), v=handle_of(v), grad=gradient, **scalars
            )
            return
        # AMSGrad is written out, since XLA has no kernel for TensorFlow's fused one.
        v_max = self._v_max[index]
        one = tf.constant(1.0, gradient.dtype)
        m.assign_add((gradient - m) * (one - scalars["beta1"]))
        v.assign_add((tf.square(gradient) - v) * (one - scalars["beta2"]))
        v_max.assign(tf.maximum(v_max, v))
        rate = scalars["lr"] * tf.sqrt(one - scalars["beta2_power"]) / (one - scalars["beta1_power"])
        variable.assign_sub(rate * m / (tf.sqrt(v_max) + scalars["epsilon"]))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }
